"""The reliability diagram of a calibration, as SVG."""

from __future__ import annotations

import math

from hardcut.report.statistics.calibration import Calibration, Method


def reliability_diagram(calibration: Calibration, size: int = 360) -> str:
    """An SVG: for each method the share that is relevant over the probability, the diagonal being right; the area of a
    dot is the number of pairs."""
    colours: dict[Method, str] = {"raw": "#9aa0a6", "temperature": "#d2691e", "isotonic": "#1a73e8"}
    edge, inner, legend = 44, size - 64, 14 * len(calibration.overall) + 4
    height = inner + edge + legend + 8

    def x(value: float) -> float:
        return round(edge + value * inner, 1)

    def y(value: float) -> float:
        return round(height - edge - value * inner, 1)

    marks = [f'<line x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}" stroke="#bbb" stroke-dasharray="4 4"/>']
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        marks.append(f'<text x="{x(tick)}" y="{y(0) + 16}" text-anchor="middle">{tick:g}</text>')
        marks.append(f'<text x="{x(0) - 6}" y="{y(tick) + 4}" text-anchor="end">{tick:g}</text>')
    for row, (method, found) in enumerate(calibration.overall.items()):
        colour = colours[method]
        points = " ".join(f"{x(each.probability)},{y(each.relevant)}" for each in found.bins)
        marks.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for each in found.bins:
            radius = round(2 + 8 * math.sqrt(each.count / found.pairs), 1)
            marks.append(
                f'<circle cx="{x(each.probability)}" cy="{y(each.relevant)}" r="{radius}" fill="{colour}" '
                f'fill-opacity="0.6"><title>{method}: {each.count} pairs</title></circle>'
            )
        marks.append(f'<text x="{x(0)}" y="{14 * row + 11}" fill="{colour}">{method}: ECE {found.ece:.3f}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {height}" width="{size}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="11" role="img" aria-label="Reliability diagram">'
        f'<rect x="{x(0)}" y="{y(1)}" width="{inner}" height="{inner}" fill="none" stroke="#999"/>{"".join(marks)}'
        f'<text x="{x(0.5)}" y="{height - 8}" text-anchor="middle">probability of yes</text>'
        f'<text transform="translate(11 {y(0.5)}) rotate(-90)" text-anchor="middle">share that is relevant</text>'
        "</svg>\n"
    )
