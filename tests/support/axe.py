"""What axe-core objects to on a page."""

from typing import Any

from playwright.sync_api import Page


def violations(page: Page, axe: str) -> list[str]:
    """Return what axe-core, whose source is given, objects to: rule, then the elements."""
    page.evaluate(axe)
    found: list[dict[str, Any]] = page.evaluate("async () => (await axe.run(document)).violations")
    return [
        f"{v['id']}: {[(n['target'], n['failureSummary']) for n in v['nodes'][:4]]}" for v in found
    ]
