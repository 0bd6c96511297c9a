"""A network in two, below its last stages: the frozen part, whose maps can be kept, and the part that learns.

Traced by torch.fx (Reed et al., MLSys 2022). Only modules that hold weights of both parts are looked into, all others stay whole, so a
trace follows the few lines in which a network calls its stages. Both parts share the network's own modules and weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn
from torch.fx import Graph, GraphModule, Node, Tracer
from torch.fx.proxy import TraceError

from medtl.backbones.network import Network


@dataclass(frozen=True)
class Cut:
    """`above(below(x))` is `network.features(x)`."""

    below: GraphModule
    """(B, C, S, S) in [0, 1] -> maps at the border (B, …)."""
    above: GraphModule
    """Maps at the border -> features (B, D)."""


def cut(network: Network, stages: int) -> Cut | None:
    """Cut below the last `stages` stages; None where the network cannot be traced, more than one tensor crosses the border, or a function
    drops values out (`options: {drop_rate: 0.2}`), which a trace would do always or never."""
    names = {name for stage in network.stages()[-stages:] for name in stage}
    learning = {parameter for name, parameter in network.named_parameters() if name in names}
    tracer = _Outline(learning)
    try:
        whole = tracer.trace(network)
    except (TraceError, TypeError, ValueError, RuntimeError):  # its calls depend on the numbers in its maps
        return None
    above = _above(whole, network, learning)
    crossing = {source for node in above for source in node.all_input_nodes if source not in above and source.op != "get_attr"}
    if len(crossing) != 1 or any(node.op == "call_function" and node.kwargs.get("p") for node in above):
        return None
    border = crossing.pop()
    inputs = [node for node in whole.nodes if node.op == "placeholder"]
    return Cut(_part(network, whole, inputs[0], border, above=False), _part(network, whole, border, _result(whole), above=True))


class _Outline(Tracer):
    """Keeps whole what lies on one side of the border."""

    def __init__(self, learning: set[nn.Parameter]):
        super().__init__()
        self._learning = learning

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        own = set(m.parameters())
        return not any(True for _ in m.children()) or own.isdisjoint(self._learning) or own <= self._learning


def _above(whole: Graph, network: nn.Module, learning: set[nn.Parameter]) -> set[Node]:
    """The nodes that use a learning weight, and all that follow from them."""
    found: set[Node] = set()
    for node in whole.nodes:
        own: Iterable[nn.Parameter] = ()
        if node.op == "call_module":
            own = network.get_submodule(str(node.target)).parameters()
        elif node.op == "get_attr":
            own = [parameter for name, parameter in network.named_parameters() if name == node.target]
        if not learning.isdisjoint(own) or any(source in found for source in node.all_input_nodes):
            found.add(node)
    return found


def _result(whole: Graph) -> Node:
    return next(node for node in whole.nodes if node.op == "output").all_input_nodes[0]


def _part(network: nn.Module, whole: Graph, given: Node, wanted: Node, above: bool) -> GraphModule:
    """What leads from one node to another."""
    part = Graph()
    copies = {given: part.placeholder("maps" if above else "pixels")}
    for node in whole.nodes:
        if node not in copies and node.op not in ("placeholder", "output") and all(source in copies for source in node.all_input_nodes):
            copies[node] = part.node_copy(node, copies.__getitem__)
    part.output(copies[wanted])
    module = GraphModule(network, part)
    part.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.recompile()
    return module
