import type { KeyboardEvent } from 'react';

/** Arrow keys, Home and End move the focus among the options of a list box. */
export function moveFocus(event: KeyboardEvent<HTMLElement>): void {
  const options = [...event.currentTarget.querySelectorAll<HTMLElement>('[role=option]')];
  const at = options.indexOf(document.activeElement as HTMLElement);
  const to = {
    ArrowDown: Math.min(at + 1, options.length - 1),
    ArrowUp: Math.max(at - 1, 0),
    Home: 0,
    End: options.length - 1
  }[event.key];
  if (to !== undefined && options[to]) {
    event.preventDefault();
    event.stopPropagation();
    options[to].focus();
  }
}
