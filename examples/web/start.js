// Runs before the first paint: applies the stored theme, and hides texts in the wrong language and the list when the address belongs to
// another view, until the page's modules have run.
{
  const root = document.documentElement;
  const recall = (name) => { try { return localStorage.getItem(`vocalizer-${name}`); } catch { return null; /* storage is blocked */ } };
  const theme = recall('theme');
  if (theme) root.dataset.theme = theme;
  const languages = ['en', 'ru'];
  const language = [recall('language'), ...navigator.languages.map((name) => name.slice(0, 2))].find((name) => languages.includes(name)) ?? 'en';
  root.dataset.untranslated = String(language !== root.lang);
  root.dataset.otherView = String(/^#\/[^?]/.test(location.hash));
}
