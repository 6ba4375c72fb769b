// A handle with which a stem is dragged out of the page: to a folder, or into an audio workstation.
import { h, icon } from './dom.js';
import { titleOf } from './songs.js';
import { fileName, stemName } from './stems.js';
import { t } from './text.js';

const TYPES = { mp3: 'audio/mpeg', wav: 'audio/wav', flac: 'audio/flac' };

/**
 * A link to a stem of a song, which its owner gives an address. Chromium downloads what is dragged; other browsers drag the link.
 * `label` returns the tempo and the key for the name.
 */
export function dragHandle({ song, stem, number, label }) {
  let format = 'mp3';
  const element = h('a', { class: 'grip', download: true, draggable: 'true', ondragstart: (event) => {
    const { href } = element;
    event.dataTransfer.effectAllowed = 'copy';
    event.dataTransfer.setData('DownloadURL', `${TYPES[format]}:${fileName({ title: titleOf(song), stem, number, ...label() }, format)}:${href}`);
    event.dataTransfer.setData('text/uri-list', href);
    event.dataTransfer.setData('text/plain', href);
  } }, icon('grip'));
  return {
    element,
    update: (/** @type {string} */ now) => {
      format = now;
      element.title = t('drag-stem', { stem: stemName(stem), format: format.toUpperCase() });
      element.setAttribute('aria-label', element.title);
    },
  };
}
