// Live refresh, news of lists, copying, relative times and keys. Everything works without it.
(function () {
  "use strict";
  const LONGEST = 30000;
  const page = document.querySelector(".dd[data-text-copy]");
  const words = page ? page.dataset : {};
  const language = document.documentElement.lang || undefined;

  function make(name, className, text) {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text || "";
    if (name === "button") made.type = "button";
    return made;
  }

  function isTyping() {
    const field = document.activeElement;
    const writes = field && (field.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(field.tagName));
    return Boolean(writes && !/^(checkbox|radio|submit|button)$/.test(field.type));
  }

  function isBusy() {
    const ticked = document.querySelector("#result_list .action-select:checked");
    return isTyping() || Boolean(ticked) || Boolean(document.querySelector("dialog[open]")) || String(document.getSelection()) !== "";
  }

  // Asks again and again: ``ask`` returns "news", "same", "lost" or "over".
  function poll(first, ask, button) {
    let pause = first, timer = 0, asking = false, live = true, over = false;
    const self = { toggle, now, stop };

    function plan() {
      clearTimeout(timer);
      if (live && !over && !document.hidden) timer = setTimeout(turn, pause);
    }
    async function turn() {
      if (asking || over) return;
      if (isBusy()) { plan(); return; }
      asking = true;
      let said = "same";
      try { said = await ask(); } catch (error) { said = "same"; }
      asking = false;
      pause = said === "news" ? first : Math.min(pause * 2, LONGEST);
      if (said === "lost" || said === "over") stop(); else plan();
    }
    function now() { pause = first; clearTimeout(timer); turn(); }
    function stop() { over = true; clearTimeout(timer); button.remove(); }
    function show() {
      button.textContent = live ? words.textOn : words.textOff;
      button.setAttribute("aria-pressed", String(live));
    }
    function toggle() {
      if (over) return;
      live = !live;
      pause = first;
      show();
      if (live) now(); else clearTimeout(timer);
    }
    button.addEventListener("click", toggle);
    document.addEventListener("visibilitychange", () => { pause = first; plan(); });
    show();
    plan();
    return self;
  }

  // The page of a run.
  function watchRun(root) {
    const controls = root.querySelector("[data-live-controls]");
    const status = root.querySelector("[data-live-status]");
    const updated = make("span", "dd-soft");
    controls.append(updated);
    let revision = root.dataset.revision;
    if (root.dataset.live !== "on") return null;
    const button = make("button", "dd-button dd-quiet dd-small");
    controls.append(button);
    return poll(2000, async () => {
      const query = new URLSearchParams(location.search);
      query.set("rev", revision);
      const answer = await fetch(root.dataset.liveUrl + "?" + query, { headers: { "X-Requested-With": "XMLHttpRequest" } });
      if ([401, 403, 404].includes(answer.status)) {
        updated.textContent = root.dataset.textLost;
        return "lost";
      }
      if (answer.status !== 200) return "same";
      const before = word();
      replace(await answer.text());
      if (word() !== before) status.textContent = word();
      revision = answer.headers.get("X-Durable-Revision") || revision;
      updated.textContent = root.dataset.textUpdated + " " + new Date().toLocaleTimeString(language);
      return answer.headers.get("X-Durable-Live") === "off" ? "over" : "news";
    }, button);

    function word() {
      const found = root.querySelector("[data-word]");
      return found ? found.textContent : "";
    }
    function replace(html) {
      const fresh = new DOMParser().parseFromString(html, "text/html");
      for (const region of root.querySelectorAll("[data-region]")) {
        const found = fresh.querySelector('[data-region="' + region.dataset.region + '"]');
        if (!found) continue;
        const old = region.cloneNode(true);
        for (const added of old.querySelectorAll("[data-added]")) added.remove();
        for (const each of old.querySelectorAll("details[open]")) each.removeAttribute("open");
        for (const each of old.querySelectorAll(".dd-row")) each.classList.remove("dd-row");
        if (old.innerHTML !== found.innerHTML) swap(region, found);
      }
    }
    function swap(region, found) {
      const opened = [...region.querySelectorAll("details[open][data-key]")].map((each) => each.dataset.key);
      const focused = region.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      region.innerHTML = "";
      region.append(...document.importNode(found, true).childNodes);
      for (const each of region.querySelectorAll("details[data-key]")) each.open = opened.includes(each.dataset.key);
      const same = focused && [...region.querySelectorAll("a")].find((each) => each.getAttribute("href") === focused);
      if (same) same.focus({ preventScroll: true });
      offerCopy(region);
    }
  }

  // A list: rows stay where they are, a banner tells how many have come.
  function watchList(place) {
    const controls = document.querySelector("[data-live-controls]");
    if (!place.dataset.newsSince || !controls) return null;
    const button = make("button", "dd-button dd-quiet dd-small");
    controls.append(button);
    let told = "";
    return poll(5000, async () => {
      const query = new URLSearchParams(location.search);
      query.set("since", place.dataset.newsSince);
      const answer = await fetch(place.dataset.newsUrl + "?" + query, { headers: { "X-Requested-With": "XMLHttpRequest" } });
      if ([401, 403].includes(answer.status)) { place.textContent = words.textLost; return "lost"; }
      if (answer.status !== 200) return "same";
      const news = await answer.json();
      if (news.text === told) return "same";
      told = news.text;
      const link = make("a", "", words.textShow);
      link.href = place.dataset.newsHere || "?";
      place.replaceChildren(news.text + " ", link);
      return "news";
    }, button);
  }

  function offerCopy(part) {
    if (!navigator.clipboard || !words.textCopy) return;
    for (const each of part.querySelectorAll("[data-copy]")) {
      const copy = make("button", "dd-button dd-quiet dd-small", words.textCopy);
      copy.dataset.added = "";
      copy.addEventListener("click", async () => {
        await navigator.clipboard.writeText(each.dataset.copy || each.textContent);
        copy.textContent = words.textCopied;
      });
      each.after(copy);
    }
  }

  // Moments of the last and the next days as people say them; the instant stays in the title.
  function tellTimes() {
    if (!window.Intl || !Intl.RelativeTimeFormat) return;
    const format = new Intl.RelativeTimeFormat(language, { numeric: "always", style: "short" });
    for (const each of document.querySelectorAll("time.dd-moment")) {
      const seconds = (new Date(each.dateTime) - Date.now()) / 1000, size = Math.abs(seconds);
      if (size > 172800) continue;
      const [unit, length] = size < 60 ? ["second", 1] : size < 3600 ? ["minute", 60] : ["hour", 3600];
      each.textContent = format.format(Math.trunc(seconds / length), unit);
    }
  }

  function watchKeys(watched) {
    const help = document.getElementById("dd-keys");
    if (!help) return;
    const box = help.querySelector("input");
    let on = true;
    try { on = localStorage.getItem("dd-keys") !== "off"; } catch (error) { on = true; }
    box.checked = on;
    box.addEventListener("change", () => {
      on = box.checked;
      try { localStorage.setItem("dd-keys", on ? "on" : "off"); } catch (error) { /* kept for this page only */ }
    });
    help.querySelector("button").addEventListener("click", () => help.close());
    for (const each of document.querySelectorAll("[data-keys]")) {
      each.hidden = false;
      each.addEventListener("click", () => help.showModal());
    }
    const acts = {
      "/": () => { const box = document.querySelector("#searchbar, .dd-search input"); if (box) box.focus(); },
      r: () => (watched ? watched.now() : location.reload()),
      l: () => watched && watched.toggle(),
      j: () => move(1),
      k: () => move(-1),
      "?": () => help.showModal(),
    };
    const arrows = { ArrowDown: 1, ArrowUp: -1 };
    document.addEventListener("keydown", (event) => {
      const plain = !(event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented);
      const row = document.activeElement && document.activeElement.closest(".dd-timeline tbody tr, #result_list tbody tr");
      if (on && plain && row && arrows[event.key] && !isTyping()) {
        event.preventDefault();
        move(arrows[event.key]);
        return;
      }
      if (!on || !plain || isTyping() || help.open || !acts[event.key]) return;
      event.preventDefault();
      acts[event.key]();
    });
  }

  // The focus goes to the link of the row, so Enter opens it.
  function move(by) {
    const rows = [...document.querySelectorAll("#result_list tbody tr, tr[data-row], .dd-timeline tbody tr")];
    const links = rows.map((row) => row.querySelector("th a, td a"));
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1);
    for (const row of rows) row.classList.toggle("dd-row", row === rows[next]);
    if (links[next]) links[next].focus();
  }

  // Where a row of links is wider than the window, the one that is current is shown.
  for (const each of document.querySelectorAll(".dd-sections [aria-current], .dd-tabs [aria-current], .dd-filter [aria-current]")) {
    const list = each.closest("ul"), row = list.scrollWidth > list.clientWidth ? list : list.parentElement;
    const here = each.getBoundingClientRect(), room = row.getBoundingClientRect();
    row.scrollLeft += (here.left + here.right - room.left - room.right) / 2;
  }

  const run = document.getElementById("dd-run");
  const news = document.querySelector("[data-news-url]");
  offerCopy(document);
  watchKeys(run ? watchRun(run) : news ? watchList(news) : null);
  tellTimes();
  setInterval(tellTimes, 15000);
})();
