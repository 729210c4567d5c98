"use strict";
// Replaces what the page shows every two seconds. Without this script, the page reloads itself.
const SECONDS = 2;

async function refresh() {
  const main = document.querySelector("main");
  try {
    if (!document.hidden) {
      const response = await fetch("/", { signal: AbortSignal.timeout(10_000) });
      if (!response.ok) throw new Error(response.statusText);
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      main.replaceWith(page.querySelector("main"));
    }
  } catch {
    const note = document.getElementById("stale");
    if (note) note.hidden = false;
  }
  setTimeout(refresh, SECONDS * 1000);
}

setTimeout(refresh, SECONDS * 1000);
