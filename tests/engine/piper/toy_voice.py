"""A voice with the interface of Piper's models and none of their weights: each phoneme is a hundred samples of noise.

It draws noise by itself twice, as they do: of the second, a piece gets as much as the first one makes it long.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SYMBOLS = "_^$ !'(),-.:;?abcdefghijklmnopqrstuvwxyzæçðøħŋœɐɑɒɔəɛɜɡɪɹɾʀʁʃʊʌʒʔˈˌː\u0303ɲɥ"
RATE = 16000


def write_voice(folder: Path, name: str = "toy", *, speakers: dict[str, int] | None = None, **changes: Any) -> Path:
    """Write a voice into a folder. changes: of its configuration. Returns the model's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.onnx"
    path.write_bytes(_model(with_speakers=bool(speakers)))
    config = {
        "audio": {"sample_rate": RATE, "quality": "low"},
        "espeak": {"voice": "fr"},
        "inference": {"noise_scale": 0.5, "length_scale": 1, "noise_w": 0.5},
        "phoneme_type": "espeak",
        "phoneme_id_map": {symbol: [number] for number, symbol in enumerate(SYMBOLS)},
        "num_speakers": len(speakers or ()) or 1,
        "speaker_id_map": speakers or {},
    }
    path.with_name(f"{name}.onnx.json").write_text(json.dumps(config | changes))
    (folder / "MODEL_CARD").write_text("# Model card\n\n## Dataset\n\n* License: CC0\n")
    return path


def _model(*, with_speakers: bool) -> bytes:
    from onnx import TensorProto, helper

    def info(name: str, kind: int, shape: list[Any]) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    inputs = [
        info("input", TensorProto.INT64, ["batch", "phonemes"]),
        info("input_lengths", TensorProto.INT64, ["batch"]),
        info("scales", TensorProto.FLOAT, [3]),
    ]
    nodes = [
        helper.make_node("Cast", ["input"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("RandomNormalLike", ["numbers"], ["first_noise"]),
        helper.make_node("Tile", ["first_noise", "repeats"], ["long"]),
        helper.make_node("RandomNormalLike", ["long"], ["second_noise"]),
        helper.make_node("Tile", ["numbers", "repeats"], ["long_numbers"]),
        helper.make_node("Mul", ["second_noise", "loudness"], ["quiet"]),
        helper.make_node("Mul", ["long_numbers", "loudness"], ["tone"]),
        helper.make_node("Add", ["quiet", "tone"], ["sound"]),
    ]
    if with_speakers:
        inputs.append(info("sid", TensorProto.INT64, ["batch"]))
        nodes += [
            helper.make_node("Cast", ["sid"], ["speaker"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["speaker", "loudness"], ["offset"]),
            helper.make_node("Add", ["sound", "offset"], ["output"]),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["sound"], ["output"]))
    constants = [
        helper.make_tensor("repeats", TensorProto.INT64, [2], [1, 100]),
        helper.make_tensor("loudness", TensorProto.FLOAT, [], [0.004]),
    ]
    output = [info("output", TensorProto.FLOAT, ["batch", "time"])]
    graph = helper.make_graph(nodes, "toy", inputs, output, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content
