// Light or dark: what the reader chose, or else what the system asks for.
(function () {
  "use strict";
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const label = () => { button.textContent = dark() ? "Light" : "Dark"; };
  try { const kept = localStorage.getItem("minigan-theme"); if (kept) root.dataset.theme = kept; } catch (e) {}
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("minigan-theme", root.dataset.theme); } catch (e) {}
    label();
  });
  system.addEventListener("change", label);
  label();
})();
