// Seconds for which a case, or the model's answer to it, has been there to be seen; and the way by keyboard from one step to the next.
(() => {
  if (window.medtlSeconds) return;
  let step = null, since = null;
  window.medtlSeconds = () => (since === null ? null : (performance.now() - since) / 1000);

  const seen = () => document.querySelector(".medtl-viewer[data-ready]:not([data-words])"); // drawn, and not waiting to be drawn anew
  function focus(kind) {
    const places = { begin: ["#medtl-reading input[type=text], #medtl-reading textarea", "#medtl-begin"], first: [".medtl-viewer .stage"],
      again: ["#medtl-reading input:checked", "#medtl-reading input[type=radio], #medtl-reading input[type=checkbox]"] };
    const found = places[kind].flatMap((place) => [...document.querySelectorAll(place)]).filter((each) => each.offsetParent);
    const empty = kind === "begin" ? found.find((each) => each.value === "" && each.id !== "medtl-begin") ?? found.at(-1) : found[0];
    // The clock runs: the image has to be on the screen, and on a narrow one the answer, below which the form lies.
    const place = { first: "#medtl-seen", again: innerWidth <= 700 ? "#medtl-said .medtl-answer" : null }[kind];
    empty?.focus({ preventScroll: Boolean(place) });
    if (place) document.querySelector(place)?.scrollIntoView({ block: "start" });
  }
  // Arrows choose among the classes and Tab leaves them, as with any radio buttons; Gradio's are each alone.
  const classes = () => [...document.querySelectorAll("#medtl-called input[type=radio]")];
  function oneStop() {
    const all = classes(), stop = all.find((each) => each.checked) ?? all[0];
    for (const each of all) each.tabIndex = each === stop ? 0 : -1;
  }
  function look() {
    oneStop();
    const now = document.querySelector(".medtl-reading[data-step]")?.dataset.step ?? null;
    if (now !== step) {
      if (!now) document.querySelector("#medtl-said")?.scrollIntoView({ block: "nearest" }); // that all is done
      step = now;
      since = null;
    }
    if (!step || since !== null) return;
    const kind = step.split(" ").at(-1);
    if (kind !== "begin" && !seen()) return;
    since = performance.now();
    setTimeout(() => focus(kind), 50); // once Gradio has shown what it shows
  }
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-step", "data-ready", "data-words", "aria-checked"] });

  document.addEventListener("keydown", (event) => {
    const way = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key], all = classes(), at = all.indexOf(event.target);
    if (!way || at < 0) return;
    const next = all[(at + way + all.length) % all.length];
    next.tabIndex = 0;
    next.focus();
    next.click();
    event.preventDefault();
  });

  // From the image, r leads to the reading.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "r" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    const first = [...document.querySelectorAll("#medtl-reading input")].find((each) => each.offsetParent);
    if (first) { first.focus(); event.preventDefault(); }
  });
})();
