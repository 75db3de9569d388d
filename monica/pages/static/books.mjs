// The phrase books as boards, and the choice of a group of phrases.

import { $, h } from "./dom.mjs";
import { send } from "./wire.mjs";

const boards = new Map(); // by the id of the book

/** Asks for the names of the books, and offers their groups and levels. */
export async function loadBooks() {
  try {
    const { books } = await (await send("GET", "/v1/books")).json();
    for (const { id } of books) if (!boards.has(id)) boards.set(id, await (await send("GET", `/v1/books/${id}`)).json());
    offer(books);
  } catch {
    // The bar says that there is no connection; a book that cannot be read any more is left out.
  }
}

function offer(books) {
  const group = $("group").value;
  const groups = books.map(({ id, name }) => {
    const options = boards.get(id).groups.map((each, index) =>
      h("option", { value: `${id}/${index}` }, each.name || "Autres phrases"));
    return h("optgroup", { label: name }, ...options);
  });
  $("group").replaceChildren(...[...$("group").children].filter((child) => child.tagName === "OPTION"), ...groups);
  $("group").value = group;
  if (!$("group").value) $("group").value = "";
  const book = $("clock-book").value;
  $("clock-book").replaceChildren(...books.map(({ id, name }) => h("option", { value: id }, name)));
  if (books.some(({ id }) => id === book)) $("clock-book").value = book;
}

/** The group that is chosen: its tiles, and the rosters of their slots; null if it is none of a book. */
export function chosenGroup() {
  const [id, index] = $("group").value.split("/");
  const board = boards.get(id);
  return board ? { tiles: board.groups[Number(index)].tiles, rosters: board.rosters } : null;
}

/** Forgets what is known of which phrases are ready. */
export const forgetBooks = () => boards.clear();
