// Live refresh and copying on the page of a run. Everything works without it.
(function () {
  "use strict";
  const root = document.getElementById("dd-run");
  if (!root) return;
  const FIRST = 2000, LONGEST = 30000;
  const text = root.dataset;
  const controls = root.querySelector("[data-live-controls]");
  const status = root.querySelector("[data-live-status]");
  let revision = text.revision, pause = FIRST, timer = 0, asking = false;
  let live = text.live === "on", ended = !live;

  const button = document.createElement("button");
  button.type = "button";
  button.className = "dd-button dd-quiet";
  const updated = document.createElement("span");

  function show() {
    button.textContent = live ? text.textOn : text.textOff;
    button.setAttribute("aria-pressed", String(live));
  }

  function plan(soon) {
    clearTimeout(timer);
    if (live && !ended && !document.hidden) timer = setTimeout(ask, soon ? 0 : pause);
  }

  function isBusy() {
    const field = document.activeElement;
    const typing = field && /^(INPUT|TEXTAREA|SELECT)$/.test(field.tagName);
    return typing || String(document.getSelection()) !== "";
  }

  async function ask() {
    if (asking) return;
    if (isBusy()) { plan(false); return; }
    asking = true;
    try {
      const query = new URLSearchParams(location.search);
      query.set("rev", revision);
      const answer = await fetch(text.liveUrl + "?" + query, { headers: { "X-Requested-With": "XMLHttpRequest" } });
      await take(answer);
    } catch (error) {
      pause = Math.min(pause * 2, LONGEST);
    } finally {
      asking = false;
    }
    plan(false);
  }

  async function take(answer) {
    if (answer.status === 200) {
      replace(await answer.text());
      revision = answer.headers.get("X-Durable-Revision") || revision;
      ended = answer.headers.get("X-Durable-Live") === "off";
      pause = FIRST;
      updated.textContent = text.textUpdated + " " + new Date().toLocaleTimeString(document.documentElement.lang);
      if (ended) stop();
    } else if (answer.status === 204) {
      pause = Math.min(pause * 2, LONGEST);
    } else if (answer.status === 401 || answer.status === 403 || answer.status === 404) {
      ended = true;
      stop();
      updated.textContent = text.textLost;
    } else {
      pause = Math.min(pause * 2, LONGEST);
    }
  }

  function replace(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    const before = word();
    for (const region of root.querySelectorAll("[data-region]")) {
      const found = fresh.querySelector('[data-region="' + region.dataset.region + '"]');
      if (!found) continue;
      const old = region.cloneNode(true);
      for (const added of old.querySelectorAll("[data-added]")) added.remove();
      for (const each of old.querySelectorAll("details[open]")) each.removeAttribute("open");
      if (old.innerHTML !== found.innerHTML) swap(region, found);
    }
    if (word() !== before) status.textContent = word();
  }

  function swap(region, found) {
    const opened = [...region.querySelectorAll("details[open][data-key]")].map((each) => each.dataset.key);
    const focused = region.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    region.innerHTML = "";
    region.append(...document.importNode(found, true).childNodes);
    for (const each of region.querySelectorAll("details[data-key]")) each.open = opened.includes(each.dataset.key);
    if (focused) {
      const same = [...region.querySelectorAll("a")].find((each) => each.getAttribute("href") === focused);
      if (same) same.focus({ preventScroll: true });
    }
    offerCopy(region);
  }

  function word() {
    const found = root.querySelector("[data-word]");
    return found ? found.textContent : "";
  }

  function stop() {
    clearTimeout(timer);
    button.remove();
  }

  function offerCopy(part) {
    if (!navigator.clipboard) return;
    for (const each of part.querySelectorAll("[data-copy]")) {
      const copy = document.createElement("button");
      copy.type = "button";
      copy.dataset.added = "";
      copy.className = "dd-button dd-quiet";
      copy.textContent = text.textCopy;
      copy.addEventListener("click", async () => {
        await navigator.clipboard.writeText(each.textContent);
        copy.textContent = text.textCopied;
      });
      each.after(copy);
    }
  }

  function toggle() {
    live = !live;
    pause = FIRST;
    show();
    plan(true);
  }

  button.addEventListener("click", toggle);
  document.addEventListener("visibilitychange", () => plan(true));
  document.addEventListener("keydown", (event) => {
    if (ended || event.ctrlKey || event.metaKey || event.altKey || isBusy()) return;
    if (event.target.isContentEditable) return;
    if (event.key === "l") toggle();
    if (event.key === "r") { pause = FIRST; clearTimeout(timer); ask(); }
  });
  if (!ended) controls.append(updated, button); else controls.append(updated);
  show();
  offerCopy(root);
  plan(false);
})();
