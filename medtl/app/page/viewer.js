// The image as it is read on a viewing station: window, inversion, zoom, scale. Everything happens in this tab; nothing is fetched.
(() => {
  if (window.medtlViewer) return;
  window.medtlViewer = true;

  const LARGEST_ZOOM = 16, SCALES = [1, 2, 5, 10, 20, 50, 100, 200, 500];

  const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  async function unpacked(text) {
    const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  // Rows of differences to the left neighbour, low bytes before high bytes (see medtl.app.page.viewer.packed).
  function wordsOf(bytes, told) {
    const count = told.height * told.width * told.channels, words = told.bytes === 2 ? new Uint16Array(count) : new Uint8Array(count);
    const line = told.width * told.channels;
    for (let start = 0; start < count; start += line) {
      for (let k = start; k < start + line; k++) {
        const left = k - start < told.channels ? 0 : words[k - told.channels];
        words[k] = left + bytes[k] + (told.bytes === 2 ? 256 * bytes[count + k] : 0);
      }
    }
    return words;
  }

  // What DICOM PS3.3 C.11.2.1 makes of a value under a window, from 0 to 1.
  function shade(value, window) {
    const { centre, width, curve } = window;
    if (curve === "SIGMOID") return 1 / (1 + Math.exp((-4 * (value - centre)) / width));
    if (curve === "LINEAR_EXACT" || width <= 1) return (value - centre) / width + 0.5;
    return (value - (centre - 0.5)) / (width - 1) + 0.5;
  }

  class Viewer {
    constructor(figure) {
      this.figure = figure;
      this.told = JSON.parse(figure.dataset.told);
      this.stage = figure.querySelector(".stage");
      this.layers = figure.querySelector(".layers");
      this.canvas = figure.querySelector("canvas");
      this.window = null; // as read
      this.inverted = false;
      this.zoom = 1;
      this.at = { x: 0, y: 0 }; // of the layers' middle, in pixels of the stage
      this.ends = new AbortController();
    }

    find(name) { return this.figure.querySelector(name); }

    async open() {
      const { words, table } = this.figure.dataset;
      delete this.figure.dataset.words; // megabytes, and the sign that nobody has opened it
      delete this.figure.dataset.ready;
      this.words = wordsOf(await unpacked(words), this.told);
      this.table = await unpacked(table);
      if (this.ends.signal.aborted) return;
      this.context = this.canvas.getContext("2d");
      this.picture = this.context.createImageData(this.told.width, this.told.height);
      this.wire();
      this.draw();
      this.place();
      this.figure.dataset.ready = "yes";
    }

    // Another image takes the place of this one, maybe in the same elements.
    close() {
      this.ends.abort();
    }

    listen(target, event, what, more = {}) {
      target?.addEventListener(event, what, { signal: this.ends.signal, ...more });
    }

    // The window that comes nearest to what is shown, to start from when it is changed by hand.
    current() {
      return this.window || this.told.start;
    }

    draw() {
      const { low, step, channels } = this.told, lut = new Uint8Array(this.table.length), pixels = this.picture.data, words = this.words;
      for (let word = 0; word < lut.length; word++) {
        let share = this.window ? Math.min(1, Math.max(0, shade(low + step * word, this.window))) : this.table[word] / 255;
        if (this.window && this.told.inverted) share = 1 - share;
        lut[word] = Math.round(255 * (this.inverted ? 1 - share : share));
      }
      for (let k = 0, p = 0; p < pixels.length; k += channels, p += 4) {
        pixels[p] = lut[words[k]];
        pixels[p + 1] = channels === 1 ? pixels[p] : lut[words[k + 1]];
        pixels[p + 2] = channels === 1 ? pixels[p] : lut[words[k + 2]];
        pixels[p + 3] = 255;
      }
      this.context.putImageData(this.picture, 0, 0);
      const shown = this.current(), digits = step < 0.01 ? 4 : step < 1 ? 2 : 0;
      this.find(".centre").value = Number(shown.centre.toFixed(digits));
      this.find(".width").value = Number(shown.width.toFixed(digits));
      this.find(".invert").setAttribute("aria-pressed", this.inverted);
    }

    choose(name) {
      const found = this.told.windows.findIndex((each) => each.name === name);
      this.window = found < 0 ? null : this.told.windows[found];
      this.find(".preset").value = found < 0 ? "" : name;
      this.draw();
    }

    // By hand: a straight window.
    adjust(centre, width) {
      if (!Number.isFinite(centre) || !Number.isFinite(width)) return;
      this.window = { centre, width: Math.max(width, this.told.step), curve: "LINEAR_EXACT" };
      this.find(".preset").value = "own";
      this.draw();
    }

    invert() { this.inverted = !this.inverted; this.draw(); }

    // Zoom about a point of the stage (its middle where none is given), which stays where it is.
    zoomTo(zoom, x = 0, y = 0) {
      const wanted = Math.min(LARGEST_ZOOM, Math.max(1, zoom)), factor = wanted / this.zoom;
      this.at = { x: x - (x - this.at.x) * factor, y: y - (y - this.at.y) * factor };
      this.zoom = wanted;
      this.place();
    }

    move(x, y) { this.at = { x: this.at.x + x, y: this.at.y + y }; this.place(); }

    place() {
      const room = { x: ((this.zoom - 1) * this.layers.offsetWidth) / 2, y: ((this.zoom - 1) * this.layers.offsetHeight) / 2 };
      this.at.x = Math.min(room.x, Math.max(-room.x, this.at.x));
      this.at.y = Math.min(room.y, Math.max(-room.y, this.at.y));
      this.layers.style.transform = `translate(${this.at.x}px, ${this.at.y}px) scale(${this.zoom})`;
      this.canvas.style.imageRendering = this.zoom > 4 ? "pixelated" : "auto";
      this.find(".zoom").textContent = `${Math.round(100 * this.zoom)} %`;
      this.stage.classList.toggle("zoomed", this.zoom > 1);
      this.rule();
    }

    // A bar of a round length near a fifth of the stage, where the file says how large a pixel is.
    rule() {
      const bar = this.find(".scale");
      if (!bar || !this.told.across) return;
      const perPixel = this.told.across / (this.layers.offsetWidth * this.zoom);
      const most = perPixel * this.stage.offsetWidth * 0.3, length = SCALES.filter((each) => each <= most).pop() || SCALES[0];
      bar.style.width = `${length / perPixel}px`;
      bar.textContent = `${length} mm`;
    }

    // The value under the pointer, in the file's own units.
    probe(event) {
      const box = this.canvas.getBoundingClientRect(), said = this.find(".probe");
      const x = Math.floor(((event.clientX - box.left) / box.width) * this.told.width);
      const y = Math.floor(((event.clientY - box.top) / box.height) * this.told.height);
      if (x < 0 || y < 0 || x >= this.told.width || y >= this.told.height) { said.textContent = ""; return; }
      const k = (y * this.told.width + x) * this.told.channels;
      const values = Array.from({ length: this.told.channels }, (_, c) => this.told.low + this.told.step * this.words[k + c]);
      const digits = this.told.step < 0.01 ? 3 : this.told.step < 1 ? 2 : 0;
      said.textContent = `${values.map((value) => value.toFixed(digits)).join(" ")}${this.told.unit && ` ${this.told.unit}`}`;
    }

    layer() {
      const on = this.find(".toggle")?.getAttribute("aria-pressed") === "true", name = this.find(".which")?.value;
      this.figure.querySelectorAll("img.heat").forEach((each) => { each.hidden = !on || (name !== undefined && each.dataset.class !== name); });
    }

    toggle() {
      const button = this.find(".toggle");
      if (!button) return;
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
      this.layer();
    }

    wire() {
      const on = (name, event, what) => this.listen(this.find(name), event, what);
      on(".preset", "change", (event) => event.target.value !== "own" && this.choose(event.target.value));
      for (const name of [".centre", ".width"]) {
        on(name, "input", () => this.adjust(this.find(".centre").valueAsNumber, this.find(".width").valueAsNumber));
      }
      on(".invert", "click", () => this.invert());
      on(".in", "click", () => this.zoomTo(this.zoom * 1.5));
      on(".out", "click", () => this.zoomTo(this.zoom / 1.5));
      on(".fit", "click", () => this.zoomTo(1));
      on(".toggle", "click", () => this.toggle());
      on(".which", "change", () => this.layer());
      on(".opacity", "input", (event) => this.figure.style.setProperty("--medtl-heat", event.target.value));
      this.listen(this.stage, "keydown", (event) => this.key(event));
      this.listen(this.stage, "wheel", (event) => this.wheel(event), { passive: false });
      this.listen(this.stage, "dblclick", () => this.zoomTo(this.zoom > 1 ? 1 : 2));
      this.pointers();
      const sized = new ResizeObserver(() => this.place());
      sized.observe(this.stage);
      this.ends.signal.addEventListener("abort", () => sized.disconnect());
    }

    key(event) {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const centre = this.current().centre, width = this.current().width, far = 40;
      const moves = { ArrowLeft: [far, 0], ArrowRight: [-far, 0], ArrowUp: [0, far], ArrowDown: [0, -far] };
      const does = {
        i: () => this.invert(), s: () => this.toggle(), "+": () => this.zoomTo(this.zoom * 1.5), "=": () => this.zoomTo(this.zoom * 1.5),
        "-": () => this.zoomTo(this.zoom / 1.5), 0: () => this.zoomTo(1), w: () => this.choose(""),
        b: () => this.adjust(centre - width / 20, width), d: () => this.adjust(centre + width / 20, width),
        "[": () => this.adjust(centre, width / 1.1), "]": () => this.adjust(centre, width * 1.1),
      }[event.key];
      const move = moves[event.key], preset = this.told.windows[Number(event.key) - 1];
      if (move && this.zoom > 1) this.move(...move);
      else if (does) does();
      else if (preset) this.choose(preset.name);
      else return;
      event.preventDefault();
    }

    // The wheel belongs to the page until the image is in use.
    wheel(event) {
      if (!event.ctrlKey && document.activeElement !== this.stage) return;
      event.preventDefault();
      const box = this.stage.getBoundingClientRect();
      const x = event.clientX - box.left - box.width / 2, y = event.clientY - box.top - box.height / 2;
      this.zoomTo(this.zoom * Math.exp(-event.deltaY / 400), x, y);
    }

    // Mouse: dragging changes the window, with Shift or the right button it moves. Fingers: one moves what is enlarged, two enlarge.
    pointers() {
      const down = new Map();
      let start = null;
      this.listen(this.stage, "pointerdown", (event) => {
        if (event.pointerType !== "touch" && event.button > 2) return;
        this.stage.setPointerCapture(event.pointerId);
        down.set(event.pointerId, event);
        start = { ...this.current(), moves: event.shiftKey || event.button !== 0 };
      });
      const over = (event) => { down.delete(event.pointerId); start = down.size ? start : null; };
      for (const name of ["pointerup", "pointercancel"]) this.listen(this.stage, name, over);
      this.listen(this.stage, "contextmenu", (event) => event.preventDefault());
      this.listen(this.stage, "pointerleave", () => { this.find(".probe").textContent = ""; });
      this.listen(this.stage, "pointermove", (event) => {
        this.probe(event);
        const before = down.get(event.pointerId);
        if (!before || !start) return;
        const x = event.clientX - before.clientX, y = event.clientY - before.clientY;
        if (event.pointerType === "touch") {
          if (down.size === 2) this.pinch(down, event);
          else if (this.zoom > 1) this.move(x, y);
        } else if (start.moves) this.move(x, y);
        else if (x || y) {
          const now = this.current(), span = Math.max(this.told.start.width, this.told.step);
          this.adjust(now.centre + (y * span) / 400, Math.max(span / 400, now.width + (x * span) / 400));
        }
        down.set(event.pointerId, event);
      });
    }

    pinch(down, event) {
      const [a, b] = [...down.values()], apart = (p, q) => Math.hypot(p.clientX - q.clientX, p.clientY - q.clientY);
      const other = a.pointerId === event.pointerId ? b : a, before = a.pointerId === event.pointerId ? a : b;
      const box = this.stage.getBoundingClientRect();
      const x = (event.clientX + other.clientX) / 2 - box.left - box.width / 2, y = (event.clientY + other.clientY) / 2 - box.top - box.height / 2;
      this.zoomTo((this.zoom * apart(event, other)) / Math.max(1, apart(before, other)), x, y);
    }
  }

  // Gradio changes what is there rather than replacing it: a figure may be the old one with another image.
  const open = new WeakMap();
  function look() {
    document.querySelectorAll(".medtl-viewer[data-words]").forEach((figure) => {
      open.get(figure)?.close();
      const viewer = new Viewer(figure);
      open.set(figure, viewer);
      viewer.open();
    });
  }
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-words"] });
  look();
})();
