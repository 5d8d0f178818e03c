import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

/** A line that says what cannot be seen. */
export function note(text: string): HTMLElement {
  const node = document.createElement('p');
  node.className = 'codesave-note';
  node.textContent = text;
  return node;
}

/** A line that says why something is not shown, and shows it when asked to. */
export function withheld(text: string, trans: TranslationBundle, show: () => void): Widget {
  const node = document.createElement('div');
  node.className = 'codesave-note';
  const button = document.createElement('button');
  button.className = 'codesave-Button';
  button.textContent = trans.__('Show it');
  button.onclick = show;
  node.append(`${text} `, button);
  return new Widget({ node });
}
