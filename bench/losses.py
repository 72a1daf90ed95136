"""The same seed, ten times: ten training runs in one process, seeded as most programs are, and by our call; their losses, drawn.

    python bench/losses.py [--redraw]

The training is small and real: two vectors of parameters, looked up by 60,000 samples, so that their gradient is a sum that two
threads take in whichever order they come. Nothing else is random but what is seeded. It runs in the small environment of the
tests (tests/real/learning.py); what it measured is kept in results/same-seed.json, and `--redraw` draws from there. The
picture is docs/images/same-seed-ten-losses.svg, the same bytes for the same numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "same-seed.json"
PICTURE = HERE.parent / "docs" / "images" / "same-seed-ten-losses.svg"

sys.path[:0] = [str(HERE.parent / "tests")]

#: The training, and its runs, with "until" no more than it takes to see two models; ``{seed}`` is the line that seeds.
PROGRAM = """
import hashlib, json, sys
import torch
{before}
def run(steps, samples):
    {seed}
    W, V = (torch.nn.Parameter(torch.randn(60)) for _ in "ab")
    optimiser = torch.optim.SGD([W, V], lr=400.0, momentum=0.9)
    a, b = torch.randint(0, 60, (samples,)), torch.randint(0, 60, (samples,))
    y = (torch.rand(samples) < 0.5).float()
    losses = []
    for _ in range(steps):
        z = torch.sin(3 * W[a]) * torch.cos(3 * V[b]) + W[a] * V[b] * 0.1
        loss = torch.nn.functional.binary_cross_entropy_with_logits(z, y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    weights = hashlib.sha256(W.detach().numpy().tobytes() + V.detach().numpy().tobytes()).hexdigest()[:16]
    return dict(losses=losses, weights=weights)
most, steps, samples = map(int, sys.argv[1:4])
runs = []
while len(runs) < most and not ("until" in sys.argv and len({each["weights"] for each in runs}) > 1):
    runs.append(run(steps, samples))
print(json.dumps(dict(torch=torch.__version__, threads=torch.get_num_threads(), runs=runs)))
"""
SEEDS = {
    "torch.manual_seed(0)": ("", "torch.manual_seed(0)"),
    "sanctity.set_global_determinism(0)": ("import sanctity", "sanctity.set_global_determinism(0, quiet=True)"),
}
#: Ink that reads on a light page and on a dark one, and a colour for each of the ten runs.
INK, GRID, OURS = "#7d8590", "#7d859040", "#1a9e8f"
COLOURS = ("#e4572e", "#f0833a", "#f3a712", "#d1495b", "#c2417c", "#a23b72", "#e07a5f", "#cc7a00", "#b5446e", "#f26a4b")


def trained(name: str, *arguments: str, runs: int = 10, steps: int = 120, samples: int = 60_000) -> dict[str, Any]:
    """What the program says that is seeded by the line *name* of `SEEDS`."""
    from real.learning import ml_python, run_script

    # Threads that wait without spinning change no sum, and let a busy machine come to an end.
    passive = {"OMP_WAIT_POLICY": "PASSIVE"}
    before, seed = SEEDS[name]
    program = PROGRAM.replace("{before}", before).replace("{seed}", seed)
    said = run_script(ml_python(), program, str(runs), str(steps), str(samples), *arguments, env=passive, timeout=3600)
    found: dict[str, Any] = json.loads(said)
    return found


def drawn(found: dict[str, Any], png: str = "") -> None:
    """Draw the losses of *found*, a panel for each way to seed; into the file *png* as well, for who can not look at an SVG."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.hashsalt": "same-seed",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 11,
        "text.color": INK,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(10, 4.4))
        figure.set_layout_engine("constrained", wspace=0.06)
        FigureCanvasSVG(figure)
        panels = figure.subplots(1, 2, sharey=True)
        for axes, (name, said) in zip(panels, found.items(), strict=True):
            _panel(axes, name, said["runs"], many=name.startswith("torch"))
        panels[0].set_ylabel("loss", color=INK)
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(PICTURE, transparent=True, metadata={"Date": None})
        if png:
            figure.savefig(png, dpi=160)


def _panel(axes: Any, name: str, runs: Sequence[dict[str, Any]], *, many: bool) -> None:
    steps = range(1, len(runs[0]["losses"]) + 1)
    for number, run in enumerate(runs):
        colour = COLOURS[number % len(COLOURS)] if many else OURS
        axes.plot(steps, run["losses"], color=colour, linewidth=1.2 if many else 2.2, alpha=0.9, zorder=3)
        axes.plot(steps[-1], run["losses"][-1], "o", color=colour, markersize=4, zorder=4)
    last = [run["losses"][-1] for run in runs]
    weights = len({run["weights"] for run in runs})
    words = f"{weights} different models" if weights > 1 else "one model: the lines lie on each other"
    axes.set_title(f"{name}\n", loc="left", color=INK, fontsize=12, fontweight="bold", family="monospace")
    axes.text(0, 1.02, f"{len(runs)} runs, {words}", transform=axes.transAxes, color=COLOURS[0] if many else OURS, fontsize=12)
    place = {"textcoords": "offset points", "xytext": (8, 0), "va": "center", "fontsize": 10, "annotation_clip": False}
    ends = (max(last), min(last)) if weights > 1 else (last[0],)
    for value in ends:
        axes.annotate(f"{value:.3f}", (steps[-1], value), color=COLOURS[0] if many else OURS, **place)
    axes.set_xlabel("step", color=INK)
    axes.set_xlim(0, steps[-1] * 1.02)
    axes.grid(color=GRID, linewidth=0.6)
    axes.tick_params(colors=INK, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train ten times with one seed, and draw the losses.")
    parser.add_argument("--redraw", action="store_true", help="draw what was measured before")
    parser.add_argument("--png", default="", metavar="FILE", help="draw a PNG as well")
    options = parser.parse_args(argv)
    if not options.redraw:
        RESULTS.write_text(json.dumps({name: trained(name) for name in SEEDS}) + "\n")
    found = json.loads(RESULTS.read_text())
    drawn(found, options.png)
    for name, said in found.items():
        last = {run["losses"][-1] for run in said["runs"]}
        weights = len({run["weights"] for run in said["runs"]})
        print(f"{name}: {len(said['runs'])} runs, {weights} models, losses from {min(last):.6f} to {max(last):.6f}")


if __name__ == "__main__":
    main()
