import type { IOutput } from '@jupyterlab/nbformat';
import type { TranslationBundle } from '@jupyterlab/translation';

const KINDS = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/svg+xml'];

/** The address of an output's image, or null where it shows something else. */
export function imageOf(output: IOutput | null): string | null {
  const data = output?.data as Record<string, unknown> | undefined;
  const kind = data && !('text/html' in data) ? KINDS.find(name => name in data) : undefined;
  if (!data || !kind) {
    return null;
  }
  const content = Array.isArray(data[kind]) ? data[kind].join('') : String(data[kind]);
  return kind === 'image/svg+xml'
    ? `data:${kind};charset=utf-8,${encodeURIComponent(content)}`
    : `data:${kind};base64,${content.replace(/\s/g, '')}`;
}

/** A button that lays two images over each other with a slider between them. */
export function swipe(
  base: string,
  head: string,
  trans: TranslationBundle,
  toggled: (on: boolean) => void
): HTMLElement {
  const node = document.createElement('div');
  node.className = 'codesave-Swipe';
  const button = document.createElement('button');
  button.className = 'codesave-Button';
  button.textContent = trans.__('Swipe');
  button.setAttribute('aria-pressed', 'false');
  node.append(button);
  button.onclick = () => {
    const on = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', String(on));
    toggled(on);
    node.querySelector('.codesave-Swipe-stage')?.remove();
    if (on) {
      node.append(stage(base, head, trans));
    }
  };
  return node;
}

function stage(base: string, head: string, trans: TranslationBundle): HTMLElement {
  const node = document.createElement('div');
  node.className = 'codesave-Swipe-stage';
  const images = [
    { src: base, alt: trans.__('Image of the base') },
    { src: head, alt: trans.__('Image of the head') }
  ].map(({ src, alt }) => Object.assign(document.createElement('img'), { src, alt }));
  const slider = Object.assign(document.createElement('input'), {
    type: 'range',
    min: '0',
    max: '100',
    value: '50'
  });
  slider.setAttribute('aria-label', trans.__('How much of the head is shown, in percent'));
  const show = () =>
    node.style.setProperty('--codesave-swipe', `${100 - Number(slider.value)}%`);
  slider.oninput = show;
  show();
  const pile = document.createElement('div');
  pile.className = 'codesave-Swipe-pile';
  pile.append(...images);
  node.append(pile, slider);
  return node;
}
