import type { Extension } from '@codemirror/state';
import type { ICell, IOutput } from '@jupyterlab/nbformat';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Panel, Widget } from '@lumino/widgets';
import type { IView } from '../model/comparison';
import { sourceOf } from '../model/source';
import { cellDiff, pairOutputs } from '../nbdime';
import type { ICellChange, Side } from '../tokens';
import { metadataTable } from './metadatatable';
import { oneSidedOutputs, outputDiff } from './outputdiff';
import { textDiff, textView } from './textdiff';

export interface ICellDiffOptions {
  entry: ICellChange;
  base: ICell | null;
  head: ICell | null;
  /** The notebook's diff in nbdime's format. */
  diff: unknown;
  languages: Record<string, Extension>;
  view: IView;
  rendermime: IRenderMimeRegistry;
  trans: TranslationBundle;
}

/** The whole view of one cell of a comparison: source, outputs, metadata. */
export class CellDiff extends Panel {
  constructor(private options: ICellDiffOptions) {
    super();
    this.addClass('codesave-CellDiff-content');
    const { base, head, entry, view } = options;
    if (base && head && entry.change !== 'unchanged') {
      this.both(base, head);
    } else if (head) {
      this.one(head, entry.change === 'added' ? 'head' : null);
    } else if (base) {
      this.one(base, 'base');
    }
    this.addClass(`codesave-mod-${view.layout}`);
  }

  private both(base: ICell, head: ICell): void {
    const { diff, entry, trans, view } = this.options;
    const before = sourceOf(base);
    const after = sourceOf(head);
    if (before === after && base.cell_type === head.cell_type) {
      this.source(head, null);
    } else {
      const source = textDiff({
        base: before,
        head: after,
        language: this.language(head),
        layout: view.layout,
        labels: {
          base: trans.__('Source of the base'),
          head: trans.__('Source of the head')
        },
        collapse: true
      });
      source.addClass('codesave-Source');
      this.addWidget(source);
    }
    if (view.outputs) {
      const entries = entry.base === null ? null : cellDiff(diff, entry.base);
      for (const part of outputDiff(pairOutputs(base, head, entries), this.outputOptions)) {
        this.addWidget(part);
      }
    }
    if (view.metadata && entry.fields.includes('metadata')) {
      this.addWidget(metadataTable(base.metadata, head.metadata, trans));
    }
  }

  private one(cell: ICell, side: Side | null): void {
    this.source(cell, side);
    const outputs = (cell.outputs as IOutput[] | undefined) ?? [];
    if (!this.options.view.outputs || outputs.length === 0) {
      return;
    }
    if (side) {
      this.addWidget(oneSidedOutputs(outputs, side, this.outputOptions));
    } else {
      const pairs = outputs.map(output => ({ base: output, head: output, changed: false }));
      outputDiff(pairs, this.outputOptions).forEach(part => this.addWidget(part));
    }
  }

  private source(cell: ICell, side: Side | null): void {
    const { rendermime, trans } = this.options;
    const source = sourceOf(cell);
    let content: Widget;
    if (cell.cell_type === 'markdown' && side === null) {
      const renderer = rendermime.createRenderer('text/markdown');
      void renderer.renderModel(
        rendermime.createModel({
          data: { 'text/markdown': withAttachments(source, cell) },
          trusted: false
        })
      );
      renderer.addClass('codesave-Markdown');
      content = renderer;
    } else {
      content = textView(source, this.language(cell), trans.__('Source'));
      content.addClass('codesave-Source');
    }
    if (side) {
      const panel = new Panel();
      panel.addClass('codesave-Side');
      panel.addClass(`codesave-mod-${side}`);
      panel.addWidget(content);
      content = panel;
    }
    this.addWidget(content);
  }

  private get outputOptions() {
    const { rendermime, trans, view } = this.options;
    return { rendermime, trans, layout: view.layout };
  }

  private language(cell: ICell): Extension {
    return this.options.languages[cell.cell_type] ?? [];
  }
}

/** Markdown with the images that the cell holds itself put where it names them. */
function withAttachments(source: string, cell: ICell): string {
  const attachments = (cell.attachments ?? {}) as Record<string, Record<string, unknown>>;
  return source.replace(/attachment:([^)\s"'>]+)/g, (_, name: string) => {
    const [kind, data] = Object.entries(attachments[decodeURIComponent(name)] ?? {})[0] ?? [];
    return kind ? `data:${kind};base64,${String(data)}` : 'data:,';
  });
}
