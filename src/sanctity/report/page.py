"""The shell of every page we write: one file that loads nothing, runs nothing, and reads in light, in dark, narrow, and on paper.

A content security policy in the page itself forbids everything but its own style and pictures that lie inside of it. Colours are
named by what they are for and have at least the contrast that WCAG 2.2 asks of text (4.5 to 1), on the paper and on the tint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LOOK", "page"]

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

#: What our pages look like. A table of class ``stack`` becomes a block a row where the page is narrow: its cells then name their
#: column by ``data-label``, and those of class ``whole`` have a line of their own. One of class ``where`` begins with places.
LOOK: Final = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1f2328;--quiet:#59636e;--faint:#d1d9e0;--tint:#f6f8fa;--blue:#2f6fb3;
--good:#1a7337;--bad:#a40e26;--doubt:#8a5a00}
@media (prefers-color-scheme:dark){:root{--paper:#0d1117;--ink:#f0f6fc;--quiet:#9198a1;--faint:#3d444d;--tint:#151b23;
--blue:#7db5f0;--good:#56d364;--bad:#ff7b72;--doubt:#e3b341}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif}
main{max-width:68rem;margin:0 auto;padding:2rem 1.25rem 3rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .3rem;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.6rem 0 .5rem;overflow-wrap:anywhere}
p{margin:.4rem 0;max-width:46rem}
.quiet,figcaption{color:var(--quiet)}
.good{color:var(--good)}
.bad{color:var(--bad)}
.doubt{color:var(--doubt)}
code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
figure{margin:1.4rem 0 0}
figcaption{font-size:.92rem;max-width:46rem}
table{border-collapse:collapse;width:100%;margin:.6rem 0;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--quiet);padding-bottom:.4rem}
th,td{text-align:left;vertical-align:top;padding:.45rem .9rem .45rem 0;border-bottom:1px solid var(--faint);font-weight:400}
thead th{color:var(--quiet);font-size:.88rem}
tbody th{font-weight:600}
.number{text-align:right}
.where td:first-child{min-width:11rem}
summary{cursor:pointer;color:var(--quiet);font-size:.88rem}
pre{background:var(--tint);border:1px solid var(--faint);border-radius:.5rem;padding:.7rem .9rem;white-space:pre-wrap;
overflow-wrap:anywhere}
.histogram{display:block;max-width:100%;height:auto}
.histogram text{fill:var(--quiet);font:11px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif}
.histogram rect{fill:var(--blue)}
dt{font-weight:600;margin-top:.6rem}
dd{margin:0;max-width:46rem;color:var(--quiet)}
footer{margin-top:2.5rem;color:var(--quiet);font-size:.88rem}
@media (max-width:44rem){
main{padding:1.2rem 1rem 2rem}
h1{font-size:1.5rem}
.stack thead{position:absolute;left:-99in}
.stack tr{display:block;padding:.6rem 0;border-bottom:1px solid var(--faint)}
.stack th,.stack td{display:inline-block;border:0;padding:.05rem 1rem .05rem 0;text-align:left}
.stack th,.stack td{overflow-wrap:anywhere}
.stack th,.stack .whole{display:block;padding-right:0}
.where td:first-child{min-width:0}
.stack td[data-label],.stack tbody th{min-width:0}
.stack td[data-label]::before{content:attr(data-label) " ";color:var(--quiet)}
}
@media print{
:root{--paper:#fff;--ink:#000;--quiet:#444;--faint:#bbb;--tint:#fff;--blue:#2f6fb3;--good:#1a7337;--bad:#a40e26;--doubt:#8a5a00}
body{font-size:10.5pt}
main{max-width:none;padding:0}
tr,figure{break-inside:avoid}
h2,caption{break-after:avoid}
h2{margin-top:1.6rem}
}
"""


def page(*, title: str, body: Iterable[str], style: str = "", look: str = LOOK) -> str:
    """A page of *body*, pieces of HTML that stand in its ``main``; *title* is HTML too.

    *style* goes after the *look*, by which a page may look its own way.
    """
    return "\n".join(
        (
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{title}</title>",
            f"<style>{look}{style}</style>",
            "</head>",
            "<body><main>",
            *body,
            "</main></body>",
            "</html>",
            "",
        )
    )
