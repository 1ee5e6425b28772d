"""What a page must keep for everybody: axe-core's rules and what we look at ourselves; findings come out as lines."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from playwright.sync_api import Page

_AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
_OWN = """() => {
  const found = [];
  const root = document.documentElement;
  if (!["en", "de"].includes(root.lang)) found.push("the page does not say its language");
  if (document.querySelectorAll("h1").length !== 1) found.push("there is not one h1");
  let last = 0;
  for (const heading of document.querySelectorAll("h1,h2,h3,h4")) {
    if (heading.closest("[hidden]")) continue;
    const level = Number(heading.tagName[1]);
    if (level > last + 1) found.push(`${heading.tagName} after H${last}: ${heading.textContent.trim()}`);
    last = level;
  }
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (!field.labels || field.labels.length === 0) found.push(`no label: ${field.outerHTML.slice(0, 80)}`);
  for (const table of document.querySelectorAll("table"))
    if (!table.caption) found.push("a table without caption");
  if (root.scrollWidth > innerWidth + 1) found.push(`wider than the window by ${root.scrollWidth - innerWidth}px`);
  if (document.querySelector("[style], style, script:not([src])")) found.push("inline style or script");
  return found;
}"""
_CONTRAST = """() => {
  const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const colour = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const c = colour(getComputedStyle(at).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const found = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || node.closest("script,[hidden],.unseen,noscript,svg")) continue;
    const style = getComputedStyle(node);
    if (!node.getClientRects().length || style.visibility === "hidden") continue;
    const [a, b] = [light(colour(style.color)), light(ground(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const told = walk.currentNode.textContent.trim().slice(0, 30);
    if (ratio < needed) found.add(`${ratio.toFixed(2)} ${node.className || node.tagName}: ${told}`);
  }
  return [...found];
}"""


def own_findings(page: Page) -> list[str]:
    """Language, headings, labels, captions, overflow, inline code; contrast by computed styles, once they are there."""
    page.wait_for_load_state("load")
    return [*page.evaluate(_OWN), *page.evaluate(_CONTRAST)]


def axe_findings(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.2 A and AA and its best practices."""
    page.wait_for_load_state("load")
    page.evaluate(_AXE)  # by the debugger's way, which the page's policy does not bind
    told: dict[str, Any] = page.evaluate(
        "tags => axe.run({runOnly: tags, resultTypes: ['violations']})",
        ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    )
    return [f"{one['id']}: {node['html'][:160]}" for one in told["violations"] for node in one["nodes"][:3]]
