"""A program that gives a model its noise as inputs: `python noise_inputs.py MODEL RESULT`.

A model of Piper draws its noise by itself, from generators that no one can seed between two texts. Here each of them is
replaced by numbers from an input, `noise_0` and `noise_1`, which are repeated if there are not enough. It runs in a
process of its own, once for each voice: the library onnx, and the model in its hands, weigh as much as the server.
"""

from __future__ import annotations

import sys

import onnx
from onnx import TensorProto, helper

DRAWS = "RandomNormalLike"


def replace_noise(model: onnx.ModelProto) -> int:
    """Replace the model's generators by inputs. Returns how many there were."""
    graph = model.graph
    drawing = [node for node in graph.node if node.op_type == DRAWS]
    zero, one = ("noise/zero", "noise/one")
    graph.initializer.extend(helper.make_tensor(name, TensorProto.INT64, [], [n]) for n, name in enumerate((zero, one)))
    for number, node in enumerate(drawing):
        source, (like,), (result,) = f"noise_{number}", node.input, node.output
        size, shape, count, steps, places, values = (
            f"{source}/{name}" for name in ("size", "shape", "count", "steps", "places", "values")
        )
        place = list(graph.node).index(node)
        graph.node.remove(node)
        for after, made in enumerate((
            helper.make_node("Size", [source], [size]),
            helper.make_node("Shape", [like], [shape]),
            helper.make_node("Size", [like], [count]),
            helper.make_node("Range", [zero, count, one], [steps]),
            helper.make_node("Mod", [steps, size], [places]),
            helper.make_node("Gather", [source, places], [values]),
            helper.make_node("Reshape", [values, shape], [result]),
        )):  # fmt: skip
            graph.node.insert(place + after, made)
        graph.input.append(helper.make_tensor_value_info(source, TensorProto.FLOAT, [f"{source}_values"]))
    return len(drawing)


def main(source: str, result: str) -> None:
    model = onnx.load(source)
    if replace_noise(model) != 2:
        sys.exit("it draws its noise in another way than Piper's models do")
    onnx.save(model, result)


if __name__ == "__main__":
    main(*sys.argv[1:])
