"""What the figures of a panel save, read in the page: no download for each of dozens of files."""

from typing import Any


def saved_files(page: Any, panel: str) -> dict[str, dict[str, str]]:
    """Title of each figure in `panel` that can be seen → kind (PNG, SVG, CSV) → the beginning of its file."""
    files: dict[str, dict[str, str]] = page.evaluate(
        """async (panel) => {
          const made = [];
          const make = URL.createObjectURL;
          URL.createObjectURL = (blob) => { made.push(blob); return make.call(URL, blob); };
          HTMLAnchorElement.prototype.click = () => {};
          const files = {};
          for (const figure of document.querySelectorAll(`${panel} figure.attn-figure`)) {
            if (!figure.querySelector(':scope > canvas')?.clientWidth) continue;
            const title = figure.querySelector('.title').textContent;
            files[title] = {};
            figure.querySelector('.attn-save > button').click();
            for (const kind of figure.querySelectorAll('.attn-save span button')) {
              const before = made.length;
              kind.click();
              while (made.length === before) await new Promise((done) => { setTimeout(done, 5); });
              const bytes = new Uint8Array(await made[before].slice(0, 4000).arrayBuffer());
              files[title][kind.textContent] = String.fromCharCode(...bytes);
            }
          }
          return files;
        }""",
        panel,
    )
    assert files
    return files
