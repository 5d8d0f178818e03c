import type { Extension } from '@codemirror/state';
import type { ICell, IOutput } from '@jupyterlab/nbformat';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Panel, Widget } from '@lumino/widgets';
import { changedCells, outcome, type SessionModel } from '../model/session';
import { sourceOf } from '../model/source';
import type { IOutlined } from '../tokens';
import { CellList, LINE, type IRow, type ISource } from './celllist';
import { outputArea } from './rendering';
import { textView, type Languages } from './textdiff';

/** The executions of one session as a notebook shows them, to be read. */
export class SessionCells extends CellList {
  constructor(
    private model: SessionModel,
    private languages: Languages,
    private rendermime: IRenderMimeRegistry,
    trans: TranslationBundle
  ) {
    super(trans);
    this.addClass('codesave-SessionCells');
    this.node.append(this.gaps);
    void this.load();
  }

  /** Takes over what the model says now; the reader stays where they are. */
  take(): void {
    const { executions } = this.model;
    for (const place of changedCells(this.shown, executions)) {
      const node = this.nodes[place];
      if (node && place >= executions.length) {
        this.empty(node);
        node.remove();
      } else if (node) {
        this.refill(node, this.draw(place, node));
      }
    }
    const from = Math.min(this.nodes.length, executions.length);
    this.nodes.length = from;
    this.append(executions.slice(from).map((execution, i) => this.row(execution, from + i)));
    this.shown = executions;
    const gaps = this.model.outline?.gaps ?? [];
    this.gaps.hidden = gaps.length === 0;
    this.gaps.textContent = this.trans.__('Not all could be recorded: %1', gaps.join('; '));
  }

  /** Scrolls to the cell at `place` and has it seen for a moment. */
  goTo(place: number): void {
    const node = this.nodes[place];
    if (node) {
      this.reveal(node);
      node.classList.add('codesave-mod-found');
      setTimeout(() => node.classList.remove('codesave-mod-found'), 1500);
    }
  }

  /** The place of the first cell in view. */
  get topPlace(): number {
    const { top } = this.node.getBoundingClientRect();
    const first = this.nodes.findIndex(node => node.getBoundingClientRect().bottom > top);
    return Math.max(first, 0);
  }

  /** What is drawn of the cell at `place`. */
  drawn(place: number): Element | null {
    return this.nodes[place]?.querySelector('.codesave-SessionCell-content') ?? null;
  }

  private async load(): Promise<void> {
    this.language = await this.languages.load(this.model.outline?.language ?? 'text/x-python');
    if (!this.isDisposed) {
      this.start();
    }
  }

  private row(execution: IOutlined, place: number): IRow {
    const node = document.createElement('article');
    node.setAttribute('role', 'listitem');
    this.nodes[place] = node;
    this.fill(node, this.draw(place, node));
    const { images, lines, outputs } = execution;
    const height = 30 + LINE * lines + 300 * images.length + 24 * Math.min(outputs, 10);
    return { node, height };
  }

  private draw(place: number, node: HTMLElement): ISource {
    const execution = this.model.executions[place];
    const { prompt } = execution;
    node.className = 'codesave-SessionCell jp-Cell';
    node.dataset.status = outcome(execution);
    node.setAttribute('aria-label', this.trans.__('Execution %1', prompt ?? place + 1));
    let cell: ICell | null = null;
    return {
      fetch: () => (cell ? null : this.model.cell(place).then(found => void (cell = found))),
      make: () => this.content(cell!, outcome(execution) === 'running')
    };
  }

  private content(cell: ICell, running: boolean): Widget {
    const panel = new Panel();
    panel.addClass('codesave-SessionCell-content');
    const input = new Panel();
    input.addClass('jp-InputArea');
    const prompt = document.createElement('div');
    prompt.className = 'jp-InputPrompt';
    const count = running ? '*' : String(cell.execution_count ?? ' ');
    prompt.textContent = `[${count}]:`;
    const source = textView(sourceOf(cell), this.language, this.trans.__('Source'));
    source.addClass('jp-InputArea-editor');
    input.addWidget(new Widget({ node: prompt }));
    input.addWidget(source);
    panel.addWidget(input);
    const outputs = (cell.outputs as IOutput[] | undefined) ?? [];
    if (outputs.length) {
      panel.addWidget(outputArea(outputs, this.rendermime, this.trans, true));
    }
    return panel;
  }

  private gaps = this.remark('');
  private nodes: HTMLElement[] = [];
  private shown: readonly IOutlined[] = [];
  private language: Extension = [];
}
