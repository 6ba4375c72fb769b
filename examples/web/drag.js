// A handle with which a stem is dragged out of the page: to a folder, or into an audio workstation.
import { h, icon } from './dom.js';
import { stemName } from './stems.js';
import { t } from './text.js';

const TYPES = { mp3: 'audio/mpeg', wav: 'audio/wav', flac: 'audio/flac' };

/** The name of a stem's file, as the server names it. A colon would end the name in `DownloadURL`. */
export function fileName({ song, stem, number, tempo }, format) {
  const title = [...song.title].slice(0, 50).join('');
  const name = `${String(number).padStart(2, '0')} ${title} (${stem})${tempo ? ` ${tempo} BPM` : ''}.${format}`;
  return name.replace(/[/\\:*?"<>|]/g, '_');
}

/** A link to a stem, which its owner gives an address. Chromium downloads what is dragged; other browsers drag the link. */
export function dragHandle(of) {
  let format = 'mp3';
  const element = h('a', { class: 'grip', download: true, draggable: 'true', ondragstart: (event) => {
    const { href } = element;
    event.dataTransfer.effectAllowed = 'copy';
    event.dataTransfer.setData('DownloadURL', `${TYPES[format]}:${fileName(of, format)}:${href}`);
    event.dataTransfer.setData('text/uri-list', href);
    event.dataTransfer.setData('text/plain', href);
  } }, icon('grip'));
  return {
    element,
    update: (/** @type {string} */ now) => {
      format = now;
      element.title = t('drag-stem', { stem: stemName(of.stem), format: format.toUpperCase() });
      element.setAttribute('aria-label', element.title);
    },
  };
}
