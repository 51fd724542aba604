"use strict";
// Saves reloading: fetches this very view again when something was decided, and puts its fresh parts in place.
// Nothing here builds HTML from data; the server has escaped it, and without this script the views work the same.

(() => {
  const LEAST_MS = 1000;
  const state = document.getElementById("live");
  const stream = document.body.dataset.stream;
  const ahead = Date.now() - Number(document.body.dataset.now || Date.now()); // of the desk's clock
  let busy = false;
  let again = false;
  let last = 0;

  function say(text, bad) {
    if (state && state.textContent !== text) {
      state.textContent = text;
      state.classList.toggle("bad", Boolean(bad));
    }
  }

  function ago(ms) {
    const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
    const seconds = Math.max(0, Math.floor(ms / 1000));
    const at = units.findIndex(([size]) => seconds >= size);
    if (at < 0) return "0 s ago";
    const [size, name] = units[at];
    let text = `${Math.floor(seconds / size)} ${name}`;
    const next = units[at + 1];
    if (next && size !== 60 && seconds % size >= next[0]) {
      text += ` ${Math.floor((seconds % size) / next[0])} ${next[1]}`;
    }
    return `${text} ago`;
  }

  function tickTimes() {
    for (const one of document.querySelectorAll("time[data-ago]")) {
      one.textContent = ago(Date.now() - ahead - Date.parse(one.dateTime));
    }
  }

  function isBeingWritten(part) {
    const choosing = document.activeElement?.tagName === "SELECT" && part.contains(document.activeElement);
    const fields = [...part.querySelectorAll("input:not([type=hidden]), textarea")];
    const typing = ["INPUT", "TEXTAREA"].includes(document.activeElement?.tagName) && part.contains(document.activeElement);
    return choosing || typing || fields.some((one) => one.value !== one.defaultValue || one.checked !== one.defaultChecked);
  }

  function replace(part, fresh) {
    const open = [...part.querySelectorAll("details")].filter((one) => one.open).map((one) => one.id);
    const shut = [...part.querySelectorAll("details")].filter((one) => !one.open).map((one) => one.id);
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    for (const one of fresh.querySelectorAll("details")) {
      if (open.includes(one.id)) one.open = true;
      if (shut.includes(one.id)) one.open = false;
    }
    for (const one of part.querySelectorAll("select")) {
      const same = fresh.querySelector(`select#${one.id}`);
      if (same && [...same.options].some((option) => option.value === one.value)) same.value = one.value;
    }
    part.replaceWith(fresh);
    if (focused) document.getElementById(focused)?.focus();
  }

  function show(html) {
    const next = new DOMParser().parseFromString(html, "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const fresh = next.getElementById(part.id);
      if (fresh && !isBeingWritten(part) && fresh.outerHTML !== part.dataset.seen) {
        const node = document.importNode(fresh, true);
        node.dataset.seen = fresh.outerHTML;
        replace(part, node);
      }
    }
    document.title = next.title || document.title;
  }

  async function refresh() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    await new Promise((done) => setTimeout(done, Math.max(0, last + LEAST_MS - Date.now())));
    last = Date.now();
    try {
      const answer = await fetch(location.pathname + location.search, { headers: { Accept: "text/html" } });
      if (answer.redirected) {
        location.reload();
      } else if (answer.ok) {
        show(await answer.text());
        say("live");
      } else {
        say("not live: the desk does not answer", true);
      }
    } catch {
      say("not live: the desk does not answer", true);
    } finally {
      busy = false;
    }
    if (again) {
      again = false;
      refresh();
    }
  }

  if (stream && "EventSource" in window) {
    const source = new EventSource(stream);
    source.addEventListener("open", () => {
      say("live");
      refresh();
    });
    source.addEventListener("changed", refresh);
    source.addEventListener("trouble", (event) => say(`not live: ${event.data}`, true));
    source.addEventListener("error", () => say("not live: trying again", true));
    addEventListener("pagehide", () => source.close());
    addEventListener("pageshow", (event) => event.persisted && location.reload());
  }
  setInterval(tickTimes, 5000);
})();
