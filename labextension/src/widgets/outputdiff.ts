import type { IOutput } from '@jupyterlab/nbformat';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Panel, Widget } from '@lumino/widgets';
import { plainText } from '../model/plaintext';
import type { IOutputPair } from '../model/outputs';
import type { Side } from '../tokens';
import { imageOf, swipe } from './imagediff';
import { outputArea } from './rendering';
import { textDiff } from './textdiff';

export interface IOutputDiffOptions {
  layout: 'side' | 'inline';
  rendermime: IRenderMimeRegistry;
  trans: TranslationBundle;
}

/** The outputs of one cell: equal ones once, changed ones beside each other. */
export function outputDiff(
  pairs: readonly IOutputPair[],
  options: IOutputDiffOptions
): Widget[] {
  return pairs.map(pair => {
    if (pair.changed) {
      return changedPair(pair, options);
    }
    const same = rendered([pair.base!], options);
    same.addClass('codesave-Output-same');
    return same;
  });
}

/** The outputs of a cell that only one side has. */
export function oneSidedOutputs(
  outputs: readonly IOutput[],
  name: Side,
  options: IOutputDiffOptions
): Widget {
  return sidePanel(name, rendered(outputs, options));
}

function changedPair(pair: IOutputPair, options: IOutputDiffOptions): Widget {
  const { trans, layout } = options;
  const before = textOf(pair.base);
  const after = textOf(pair.head);
  if (before !== null && after !== null) {
    const view = textDiff({
      base: before,
      head: after,
      language: [],
      layout,
      labels: { base: trans.__('Output of the base'), head: trans.__('Output of the head') },
      collapse: true
    });
    view.addClass('codesave-Output-text');
    return view;
  }
  const panel = new Panel();
  panel.addClass('codesave-Pair');
  panel.addClass(`codesave-mod-${layout}`);
  const sides = (['base', 'head'] as const).map(name => {
    const output = pair[name];
    return sidePanel(name, output ? rendered([output], options) : absent(trans));
  });
  sides.forEach(side => panel.addWidget(side));
  const base = imageOf(pair.base);
  const head = imageOf(pair.head);
  if (base && head) {
    const node = swipe(base, head, trans, on => sides.forEach(side => side.setHidden(on)));
    panel.addWidget(new Widget({ node }));
  }
  return panel;
}

function rendered(outputs: readonly IOutput[], options: IOutputDiffOptions): Widget {
  const area = outputArea(outputs, options.rendermime, options.trans);
  area.addClass('codesave-Output');
  return area;
}

function sidePanel(name: Side, content: Widget): Panel {
  const panel = new Panel();
  panel.addClass('codesave-Side');
  panel.addClass(`codesave-mod-${name}`);
  panel.addWidget(content);
  return panel;
}

function absent(trans: TranslationBundle): Widget {
  const node = document.createElement('div');
  node.className = 'codesave-absent';
  node.textContent = trans.__('No output');
  return new Widget({ node });
}

/** The text of an output that is nothing but text; null for everything richer. */
function textOf(output: IOutput | null): string | null {
  if (output?.output_type === 'stream') {
    return plainText(joined(output.text));
  }
  if (output?.output_type === 'execute_result' || output?.output_type === 'display_data') {
    const data = output.data as Record<string, unknown>;
    const kinds = Object.keys(data);
    return kinds.length === 1 && kinds[0] === 'text/plain'
      ? plainText(joined(data['text/plain']))
      : null;
  }
  return null;
}

function joined(text: unknown): string {
  return Array.isArray(text) ? text.join('') : String(text ?? '');
}
