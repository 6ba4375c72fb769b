// Applies the stored theme before the first paint.
try {
  const theme = localStorage.getItem('vocalizer-theme');
  if (theme) document.documentElement.dataset.theme = theme;
} catch { /* storage is blocked: use the system theme */ }
