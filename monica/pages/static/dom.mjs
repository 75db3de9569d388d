// Elements. Text is always text: nothing that Monica or anyone else has written becomes markup.

export const $ = (id) => document.getElementById(id);

/** Makes an element. props: its properties; children: elements and strings. */
export function h(tag, props = {}, ...children) {
  const { label, ...rest } = props;
  const element = Object.assign(document.createElement(tag), rest);
  if (label) element.setAttribute("aria-label", label);
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

/** Replaces the children of a list, but not those that are the same, so that focus and scrolling stay. */
export function fill(list, items, keyOf, make) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const rows = items.map((item) => {
    const key = keyOf(item);
    const version = JSON.stringify(item);
    const row = old.get(key)?.dataset.version === version ? old.get(key) : make(item);
    row.dataset.key = key;
    row.dataset.version = version;
    return row;
  });
  const focused = list.contains(document.activeElement) ? document.activeElement.closest("[data-key]")?.dataset.key : null;
  const place = focused && [...list.querySelectorAll(`[data-key="${CSS.escape(focused)}"] button`)].indexOf(document.activeElement);
  rows.forEach((row, index) => {
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
  });
  while (list.children.length > rows.length) list.lastChild.remove();
  if (focused) list.querySelectorAll(`[data-key="${CSS.escape(focused)}"] button`)[place]?.focus();
}

export const clock = (seconds) =>
  new Date(1000 * seconds).toLocaleTimeString("fr-FR", { hour: "2-digit", minute: "2-digit" });
