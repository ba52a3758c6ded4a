// The film, the numbers under the cursor, the copy buttons, and loading the page again while the run goes on.
// The page can be read without this script: it then shows the newest images, and the curves without numbers.
(function () {
  "use strict";
  const find = (id) => document.getElementById(id);
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const data = JSON.parse(find("data").textContent);
  const session = {
    get(name) { try { return sessionStorage.getItem("minigan-report-" + name); } catch (e) { return null; } },
    set(name, value) { try { sessionStorage.setItem("minigan-report-" + name, value); } catch (e) { /* private window */ } },
  };
  const grouped = (number) => number.toLocaleString("en-GB");

  // ---------------------------------------------------------------- the film
  const film = { steps: data.steps, pictures: JSON.parse(find("pictures").textContent) };
  const newest = film.steps.length - 1;
  const slider = find("slider");
  const play = find("play");
  let shown = newest;
  let playing = null;
  let pending = null;

  function markFilm() {
    all("path.film").forEach((line, k) => moveLine(line, data.charts[k], film.steps[shown]));
  }

  function show(k) {
    shown = Math.max(0, Math.min(newest, k));
    const words = "after " + grouped(film.steps[shown]) + (film.steps[shown] === 1 ? " step" : " steps");
    find("frame").src = film.pictures[shown];
    find("frame").alt = find("frame").dataset.what + " " + words;
    find("shown").textContent = words;
    slider.value = shown;
    slider.setAttribute("aria-valuetext", words);
    markFilm();
  }

  // The address keeps the step of the image shown, not its number: the film keeps fewer images as the run goes on.
  // For the newest image it keeps nothing, so that the page shows the newest one again when it is loaded again.
  function remember() {
    clearTimeout(pending);
    pending = setTimeout(() => {
      const hash = shown === newest ? "" : "#step=" + film.steps[shown];
      if (hash !== location.hash) {
        try { history.replaceState(null, "", hash || location.pathname + location.search); } catch (e) { /* the address stays as it is */ }
      }
    }, 200);
  }

  function recall() {
    const match = /^#step=(\d{1,12})$/.exec(location.hash);
    if (!match) return;
    const step = Number(match[1]);
    let best = newest;
    film.steps.forEach((s, k) => { if (Math.abs(s - step) < Math.abs(film.steps[best] - step)) best = k; });
    show(best);
  }

  function stop() {
    clearInterval(playing);
    playing = null;
    play.textContent = play.dataset.play;
    remember();
  }

  function start() {
    if (shown === newest) show(0);
    play.textContent = play.dataset.stop;
    playing = setInterval(() => {
      show(shown + 1);
      if (shown === newest) stop();
    }, Math.max(60, Math.min(700, 8000 / film.steps.length)));
  }

  if (slider) {
    slider.max = newest;
    slider.addEventListener("input", () => { if (playing) stop(); show(Number(slider.value)); remember(); });
    play.addEventListener("click", () => (playing ? stop() : start()));
    window.addEventListener("hashchange", recall);
  }

  // ---------------------------------------------------------------- the curves
  function moveLine(line, chart, step) {
    const x = 1000 * (step - chart.span[0]) / (chart.span[1] - chart.span[0]);
    line.setAttribute("transform", "translate(" + Math.max(0, Math.min(1000, x)).toFixed(1) + " 0)");
    line.classList.add("on");
  }

  function place(chart, step) { // the last place that begins no later than the step, by bisection
    let low = 0;
    let high = chart.first.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (chart.first[middle] <= step) low = middle; else high = middle - 1;
    }
    return low;
  }

  const digits = (value) => {
    if (value === null) return "–"; // a run that has no such step
    const size = Math.abs(value);
    return size && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : value.toFixed(size < 10 ? 3 : size < 100 ? 2 : 1);
  };

  const charts = all("figure.curves").map((figure, k) => ({
    figure,
    data: data.charts[k],
    stage: figure.querySelector(".chart"),
    plot: figure.querySelector(".plot"),
    cursor: figure.querySelector("path.cursor"),
    values: Array.from(figure.querySelectorAll(".legend b")),
    at: figure.querySelector(".at"),
  }));
  charts.forEach((chart) => { chart.rest = { at: chart.at.textContent, values: chart.values.map((b) => b.textContent) }; });

  function read(step) { // one cursor in all charts
    charts.forEach((chart) => {
      const k = place(chart.data, step);
      const [a, b] = [chart.data.first[k], chart.data.last[k]];
      moveLine(chart.cursor, chart.data, (a + b) / 2);
      chart.at.textContent = a === b ? "step " + grouped(a) : "steps " + grouped(a) + " to " + grouped(b);
      chart.values.forEach((value, c) => {
        const [low, high] = [chart.data.low[c][k], chart.data.high[c][k]];
        value.textContent = digits(chart.data.median[c][k]) + (low < high ? " (" + digits(low) + " to " + digits(high) + ")" : "");
      });
      const words = chart.values.map((value) => value.parentElement.textContent.trim()).join(", ");
      chart.stage.setAttribute("aria-valuenow", a);
      chart.stage.setAttribute("aria-valuetext", chart.at.textContent + ": " + words);
    });
  }

  function leave() {
    charts.forEach((chart) => {
      chart.cursor.classList.remove("on");
      chart.at.textContent = chart.rest.at;
      chart.values.forEach((value, c) => { value.textContent = chart.rest.values[c]; });
    });
  }

  function nearestImage(step) {
    let best = 0;
    film.steps.forEach((s, k) => { if (Math.abs(s - step) <= Math.abs(film.steps[best] - step)) best = k; });
    return best;
  }

  charts.forEach((chart) => {
    const stage = chart.stage;
    const [first, last] = chart.data.span;
    let step = last;
    stage.tabIndex = 0;
    stage.setAttribute("role", "slider");
    stage.setAttribute("aria-label", "Read the chart step by step: " + chart.figure.querySelector("h3").textContent);
    stage.setAttribute("aria-valuemin", first);
    stage.setAttribute("aria-valuemax", last);
    stage.setAttribute("aria-valuenow", last);
    stage.setAttribute("aria-valuetext", "step " + grouped(last));
    const under = (event) => {
      const box = chart.plot.getBoundingClientRect();
      return first + (last - first) * Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
    };
    stage.addEventListener("pointermove", (event) => { step = under(event); read(step); });
    stage.addEventListener("pointerleave", leave);
    stage.addEventListener("blur", leave);
    stage.addEventListener("click", (event) => {
      step = under(event);
      read(step);
      if (slider) { show(nearestImage(step)); remember(); }
    });
    stage.addEventListener("keydown", (event) => {
      const count = chart.data.first.length - 1;
      const here = place(chart.data, step);
      const moves = { ArrowLeft: here - 1, ArrowDown: here - 1, ArrowRight: here + 1, ArrowUp: here + 1,
        PageDown: here - 20, PageUp: here + 20, Home: 0, End: count };
      if (!(event.key in moves)) return;
      event.preventDefault();
      step = chart.data.first[Math.max(0, Math.min(count, moves[event.key]))];
      read(step);
    });
  });

  if (slider) { show(newest); recall(); }

  // ---------------------------------------------------------------- commands to copy
  all("button.copy").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => {
      const code = find(button.dataset.of);
      const done = (words) => { button.textContent = words; setTimeout(() => { button.textContent = "Copy"; }, 2000); };
      const select = () => { // where a page may not use the clipboard, the words are at least selected
        getSelection().selectAllChildren(code);
        done(document.execCommand("copy") ? "Copied" : "Selected");
      };
      if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(() => done("Copied"), select);
      else select();
    });
  });

  // ---------------------------------------------------------------- how old the page is; loading it again
  all("[hidden].scripted").forEach((element) => { element.hidden = false; });
  const age = () => (Date.now() - Date.parse(data.written)) / 1000;
  function tellAge() {
    const seconds = age();
    const words = seconds < 10 ? "just now" : seconds < 90 ? Math.round(seconds / 5) * 5 + " seconds ago"
      : seconds < 5400 ? Math.round(seconds / 60) + " minutes ago"
      : seconds < 129600 ? Math.round(seconds / 3600) + " hours ago" : Math.round(seconds / 86400) + " days ago";
    find("age").textContent = "(" + words + ")";
    if (data.refresh) find("stale").hidden = seconds < data.stale;
  }
  tellAge();
  setInterval(tellAge, 5000);

  const follow = find("follow");
  if (follow) {
    follow.checked = session.get("follow") !== "no";
    follow.addEventListener("change", () => session.set("follow", follow.checked ? "yes" : "no"));
    let touched = 0;
    let held = false;
    window.addEventListener("pointerdown", () => { held = true; });
    ["pointerup", "pointercancel"].forEach((name) => window.addEventListener(name, () => { held = false; }));
    ["pointerdown", "pointermove", "keydown", "wheel"].forEach((name) =>
      window.addEventListener(name, () => { touched = Date.now(); }, { passive: true }));
    const opened = Date.now();
    setInterval(() => {
      const due = Date.now() - opened >= 1000 * data.refresh * (age() < data.stale ? 1 : 10);
      const busy = playing || held || Date.now() - touched < 3000 || !getSelection().isCollapsed;
      if (!due || busy || document.hidden || !follow.checked) return;
      session.set("open", all("details").map((d) => (d.open ? "1" : "0")).join(""));
      session.set("focus", document.activeElement ? document.activeElement.id : "");
      location.reload();
    }, 500);
    const open = session.get("open") || "";
    all("details").forEach((d, k) => { if (open[k] === "1") d.open = true; });
    const focused = session.get("focus") && find(session.get("focus"));
    if (focused) focused.focus({ preventScroll: true });
    session.set("focus", "");
  }
})();
