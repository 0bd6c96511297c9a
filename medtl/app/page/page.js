// What the page does in the browser besides showing the image: dark or light, folders that are dropped, the table of a batch, downloads.
(() => {
  if (window.medtlPage) return;
  window.medtlPage = true;

  const KEPT = "medtl-theme";
  const dark = () => document.body.classList.contains("dark");
  function paint(wanted) {
    document.body.classList.toggle("dark", wanted);
    document.documentElement.style.colorScheme = wanted ? "dark" : "light";
    document.querySelectorAll(".medtl-theme").forEach((each) => { each.setAttribute("aria-pressed", wanted); });
  }
  const remembered = (() => { try { return localStorage.getItem(KEPT); } catch { return null; } })();
  const system = matchMedia("(prefers-color-scheme: dark)");
  paint(remembered ? remembered === "dark" : system.matches);
  system.addEventListener("change", (event) => { if (!localStorage.getItem(KEPT)) paint(event.matches); });
  document.documentElement.lang = "en";

  document.addEventListener("click", (event) => {
    const theme = event.target.closest(".medtl-theme");
    if (theme) {
      paint(!dark());
      try { localStorage.setItem(KEPT, dark() ? "dark" : "light"); } catch { /* not remembered, then */ }
    }
    const heading = event.target.closest(".medtl-table th button[data-column]");
    if (heading) sort(heading);
  });

  // A session that ended leaves a page that can do nothing: back to the login.
  const ask = window.fetch;
  window.fetch = async (...given) => {
    const answer = await ask(...given);
    if (answer.status === 401) location.assign("login");
    return answer;
  };

  // Folders that are dropped: every file below, under a name that says where it lay. Gradio takes files only.
  // plain: under its own name, as a table of labels calls it.
  async function below(entry, path, plain) {
    if (entry.isFile) {
      const file = await new Promise((done, failed) => entry.file(done, failed));
      return entry.name.startsWith(".") ? [] : [new File([file], path + file.name, { type: file.type })];
    }
    const reader = entry.createReader(), found = [];
    for (;;) { // a hundred at a time
      const some = await new Promise((done, failed) => reader.readEntries(done, failed));
      if (!some.length) break;
      for (const each of some) found.push(...(await below(each, plain ? "" : `${path}${entry.name}_`, plain)));
    }
    return found;
  }
  document.addEventListener("drop", async (event) => {
    const place = event.target.closest("#medtl-upload, #medtl-cases-upload");
    const entries = place ? [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean) : [];
    if (!entries.some((entry) => entry.isDirectory)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const files = (await Promise.all(entries.map((entry) => below(entry, "", place.id === "medtl-cases-upload")))).flat();
    const chosen = new DataTransfer(), input = place.querySelector("input[type=file]");
    files.forEach((file) => chosen.items.add(file));
    input.files = chosen.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }, true);

  function sort(heading) {
    const column = Number(heading.dataset.column), cell = heading.closest("th"), body = heading.closest("table").tBodies[0];
    const falling = cell.getAttribute("aria-sort") === "ascending";
    for (const each of cell.parentElement.cells) each.setAttribute("aria-sort", each === cell ? (falling ? "descending" : "ascending") : "none");
    const keyOf = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const compare = (a, b) => {
      const [x, y] = [keyOf(a), keyOf(b)];
      return a.cells[column].dataset.value === undefined ? x.localeCompare(y, "en", { numeric: true }) : x - y;
    };
    body.append(...[...body.rows].sort((a, b) => (falling ? -1 : 1) * compare(a, b)));
  }

  function filter(table) {
    const wanted = table.querySelector(".filter").value, text = table.querySelector(".search").value.toLowerCase();
    let shown = 0;
    for (const row of table.querySelector("table").tBodies[0].rows) {
      const fits = !wanted || row.dataset.answer === wanted || (wanted === "no answer" && row.classList.contains("unanswered"));
      row.hidden = !fits || !row.cells[0].textContent.toLowerCase().includes(text);
      shown += !row.hidden;
    }
    table.querySelector(".shown").textContent = `${shown.toLocaleString("en")} shown`;
  }
  document.addEventListener("input", (event) => {
    const table = event.target.closest(".medtl-table");
    if (table) filter(table);
  });

  // The upload is named by what it shows (Gradio's own label says something else than one sees).
  const UPLOADS = {
    "#medtl-upload": "Drop images, a zip or a folder here, or click (DICOM, NIfTI, PNG, JPEG, TIFF)",
    "#medtl-cases-upload": "Drop a table of labels (CSV) and its images, or a zip or folder of both, here, or click",
  };
  function named() {
    for (const [place, words] of Object.entries(UPLOADS)) {
      const upload = document.querySelector(`${place} button[aria-dropeffect]`);
      if (!upload || upload.dataset.named) continue;
      upload.dataset.named = "yes";
      upload.setAttribute("aria-label", words);
      upload.querySelectorAll(".wrap").forEach((each) => each.setAttribute("aria-hidden", "true"));
    }
  }
  new MutationObserver(named).observe(document.body, { childList: true, subtree: true });
  named();

  // A file made of what is in the page: it is never on the server's disk and has no address there.
  window.medtlSave = (given) => {
    if (!given || !given.content) return;
    const bytes = Uint8Array.from(atob(given.content), (letter) => letter.charCodeAt(0));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([bytes], { type: given.type }));
    link.download = given.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  // An opened row's image comes into view, the table stays above it; on a narrow screen the answer does, above its image.
  let opened = false;
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".medtl-table button[data-row]")) return;
    opened = innerWidth <= 700;
    if (!opened) document.querySelector("#medtl-main").scrollIntoView({ block: "nearest" });
  });

  const seen = (answer) => setTimeout(() => answer.scrollIntoView({ block: "start" }), 50); // once it has its place

  // What has to be mended in an evaluation comes into view: on a narrow screen its form is longer than the screen.
  let wrong = null;
  new MutationObserver(() => {
    const now = document.querySelector("#medtl-cases-said [role=alert]");
    if (now && now !== wrong) now.scrollIntoView({ block: "nearest" });
    wrong = now;
  }).observe(document.body, { childList: true, subtree: true });

  // The first answer comes into view on a narrow screen, and a question takes the focus.
  let answered = null;
  new MutationObserver(() => {
    const answer = document.querySelector("#medtl-said .medtl-answer:not(.empty)");
    if (answer === answered) return;
    answered = answer;
    document.querySelector("#medtl-main")?.toggleAttribute("data-answered", Boolean(answer)); // Gradio keeps its styles to its own elements
    if (answer && (opened || answer.getBoundingClientRect().top > innerHeight * 0.8)) seen(answer);
    opened &&= !answer;
  }).observe(document.body, { childList: true, subtree: true });
})();
