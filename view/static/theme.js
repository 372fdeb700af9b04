// The chosen colour scheme, set before anything is drawn. Without a choice the system decides.
try {
  const chosen = localStorage.getItem("burnish-theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch {
  // No storage: the system decides.
}
