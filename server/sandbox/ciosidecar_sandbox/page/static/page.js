// The page's script: keys and the live log. Everything else works without it.
"use strict";

const MAX_ROWS = 200;

// Keys: / searches, j and k go from row to row, p pauses. Enter follows the focused link.

function step(by, event) {
  const rows = [...document.querySelectorAll("a.row")];
  const at = rows.indexOf(document.activeElement);
  const next = rows[at < 0 ? 0 : Math.min(Math.max(at + by, 0), rows.length - 1)];
  if (next) {
    event.preventDefault();
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }
}

document.addEventListener("keydown", (event) => {
  const at = document.activeElement;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (at instanceof HTMLInputElement) {
    if (event.key === "Escape") at.blur();
    return;
  }
  const onRow = at !== null && at.matches("a.row");
  if (event.key === "/") {
    event.preventDefault();
    document.getElementById("search").select();
    document.getElementById("search").focus();
  } else if (event.key === "j" || (event.key === "ArrowDown" && onRow)) step(1, event);
  else if (event.key === "k" || (event.key === "ArrowUp" && onRow)) step(-1, event);
  else if (event.key === "p") document.getElementById("pause")?.click();
});

// The log

const bar = document.getElementById("live");
if (bar !== null && "EventSource" in window) watch(bar);

function watch(bar) {
  const log = document.getElementById("log");
  const said = document.getElementById("said");
  const pause = document.getElementById("pause");
  const url = new URL(bar.dataset.live, location.href);
  let source = null;
  let paused = false;

  function say(text, look = "") {
    said.textContent = text;
    bar.className = `live ${look}`;
  }

  function open() {
    if (paused || document.hidden || source !== null) return;
    source = new EventSource(url);
    source.onopen = () => say("live");
    source.onerror = () => say(source?.readyState === EventSource.CLOSED ? "not live: too many pages watch the log; close one and reload" : "the sandbox does not respond; reconnecting", "lost");
    source.onmessage = (message) => {
      url.searchParams.set("after", message.lastEventId);
      show(JSON.parse(message.data));
    };
  }

  function close() {
    source?.close();
    source = null;
  }

  function show(news) {
    if (news.reset) log.replaceChildren();
    if (news.skipped > 0) log.prepend(gap(news.skipped));
    if (news.rows) {
      const rows = document.createElement("template");
      rows.innerHTML = news.rows; // the server has escaped the values
      for (const row of rows.content.children) row.classList.add("new");
      log.prepend(rows.content);
    }
    while (log.children.length > MAX_ROWS && !log.lastElementChild.contains(document.activeElement)) {
      log.lastElementChild.remove();
    }
    document.getElementById("empty").hidden = log.children.length > 0;
    document.getElementById("example")?.remove();
    count(news.frame);
    if (news.shown > 0) say(`live, ${(news.shown + news.skipped).toLocaleString("en")} new`);
    else if (news.reset) say("live, reset");
  }

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    if (paused) {
      close();
      say("paused", "paused");
    } else open();
  });
  // A browser has six connections for all its tabs: a hidden tab closes its own.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);

  bar.hidden = false;
  open();
}

function gap(skipped) {
  const row = document.createElement("tr");
  const cell = row.insertCell();
  row.className = "gap";
  cell.colSpan = 7;
  cell.textContent = `${skipped.toLocaleString("en")} more are not shown; reload to page through them`;
  return row;
}

function count(frame) {
  const counts = { ...frame.counters, injected: frame.injected };
  for (const place of document.querySelectorAll("[data-count]")) {
    const text = counts[place.dataset.count].toLocaleString("en");
    if (place.textContent !== text) place.textContent = text;
  }
  document.getElementById("faults").hidden = frame.faults === "";
  document.querySelector("[data-faults]").textContent = frame.faults;
}
