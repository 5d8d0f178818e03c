import type { Panel } from '@lumino/widgets';

/** Disposes of all that stands in `panel`. */
export function empty(panel: Panel): void {
  while (panel.widgets.length) {
    panel.widgets[0].dispose();
  }
}
