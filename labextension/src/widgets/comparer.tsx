import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Panel, Widget } from '@lumino/widgets';
import * as React from 'react';
import type { ComparisonChange, ComparisonModel } from '../model/comparison';
import { bytes } from '../model/titles';
import type { IComparedFile } from '../tokens';
import { ComparerHeader, sideTitles } from './comparerheader';
import { empty } from './empty';
import { Facts } from './facts';
import { Failure } from './failure';
import { FileTree, type Choice } from './filetree';
import { diffIcon } from './icons';
import { NotebookDiff } from './notebookdiff';
import { imageFile } from './imagefile';
import { note } from './note';
import { showBlockedOnClick } from './rendering';
import { textDiff, textView, type Languages } from './textdiff';

export interface IComparerOptions {
  model: ComparisonModel;
  languages: Languages;
  rendermime: IRenderMimeRegistry;
  trans: TranslationBundle;
  /** Lets a person choose other sides. */
  pick(model: ComparisonModel): void;
  copyLink(model: ComparisonModel): void;
}

/** The Code Comparer: two sides, the files in which they differ, and the chosen one's changes. */
export class Comparer extends Panel {
  constructor(private options: IComparerOptions) {
    super();
    const { model, trans } = options;
    this.addClass('codesave-Comparer');
    this.node.tabIndex = -1;
    showBlockedOnClick(this.node);
    this.title.icon = diffIcon;
    this.title.closable = true;
    this.header = new ComparerHeader(
      model,
      {
        pick: () => options.pick(model),
        step: direction => this.step(direction),
        copyLink: () => options.copyLink(model),
        place: () => this.place()
      },
      trans
    );
    this.tree = new FileTree(
      model,
      () => this.choice,
      choice => this.choose(choice),
      () => this.sayState(),
      trans
    );
    const body = new Panel();
    body.addClass('codesave-Comparer-body');
    this.content.addClass('codesave-Comparer-content');
    body.addWidget(this.tree);
    body.addWidget(this.content);
    this.addWidget(this.header);
    this.addWidget(body);
    model.changed.connect((_, what) => this.onChanged(what));
    this.onChanged('files');
  }

  get model(): ComparisonModel {
    return this.options.model;
  }

  /** Goes to the next (1) or previous (-1) change of the shown notebook. */
  step(direction: 1 | -1): void {
    if (this.notebook?.step(direction)) {
      this.header.update();
    }
  }

  dispose(): void {
    this.model.cancel();
    super.dispose();
  }

  protected onCloseRequest(msg: Message): void {
    this.dispose();
  }

  protected onActivateRequest(msg: Message): void {
    if (!this.node.contains(document.activeElement)) {
      this.node.focus();
    }
  }

  private get choice(): Choice | null {
    return this.facts ? 'facts' : this.model.path === null ? null : { path: this.model.path };
  }

  private choose(choice: Choice): void {
    this.facts = choice === 'facts';
    if (choice !== 'facts' && (choice.path !== this.model.path || !this.model.file)) {
      void this.model.select(choice.path);
    } else {
      this.onChanged('file');
    }
  }

  private place(): { at: number; of: number } | null {
    const of = this.notebook?.changes.length ?? 0;
    return of > 0 ? { at: this.notebook!.at, of } : null;
  }

  private onChanged(what: ComparisonChange): void {
    if (this.isDisposed || what === 'outdated') {
      return;
    }
    const { model } = this;
    const { trans } = this.options;
    const titles = sideTitles(model, trans);
    this.title.label = trans.__('Compare %1', titles[1].split(' · ')[0]);
    this.title.caption = titles.join(' ↔ ');
    if (what === 'described') {
      return;
    }
    this.tree.setHidden(model.comparison === null);
    this.fill();
    if (model.state === 'loading') {
      this.sayState();
    }
    this.header.update();
    this.tree.update();
  }

  /** Ready is what has been drawn. */
  private sayState(): void {
    this.node.dataset.state = this.model.state;
  }

  private fill(): void {
    empty(this.content);
    this.notebook = null;
    const { model } = this;
    const { trans } = this.options;
    if (model.state === 'loading') {
      this.content.addWidget(this.loading());
    } else if (model.state === 'error') {
      const again = () => void model.load();
      this.content.addWidget(
        ReactWidget.create(<Failure error={model.error!} again={again} trans={trans} />)
      );
    } else if (this.facts && model.comparison?.facts) {
      const { facts } = model.comparison;
      this.content.addWidget(ReactWidget.create(<Facts facts={facts} trans={trans} />));
    } else if (model.file) {
      this.content.addWidget(this.fileView(model.file));
    } else {
      this.content.addWidget(noteWidget(trans.__('The two do not differ.')));
    }
  }

  private fileView(file: IComparedFile): Widget {
    const { languages, rendermime, trans } = this.options;
    if (file.kind === 'notebook' && file.notebooks && file.cells) {
      this.notebook = new NotebookDiff(this.model, file, languages, rendermime, trans);
      return this.notebook;
    }
    if (file.kind === 'text' && file.texts) {
      const panel = new Panel();
      panel.addClass('codesave-FileDiff');
      void this.fillText(panel, file);
      return panel;
    }
    if (file.mime?.startsWith('image/')) {
      return imageFile(this.model, file, trans);
    }
    const size = (side: { size: number } | null) =>
      side ? bytes(side.size) : trans.__('absent');
    return noteWidget(
      trans.__(
        '%1 is not text and is not shown. Base: %2, head: %3.',
        file.path,
        size(file.base),
        size(file.head)
      )
    );
  }

  private async fillText(panel: Panel, file: IComparedFile): Promise<void> {
    const { languages, trans } = this.options;
    const language = await languages.load(file.path);
    if (panel.isDisposed) {
      return;
    }
    const { base, head } = file.texts!;
    if (base !== null && head !== null) {
      panel.addWidget(
        textDiff({
          base,
          head,
          language,
          layout: this.model.view.layout,
          labels: {
            base: trans.__('%1 of the base', file.path),
            head: trans.__('%1 of the head', file.path)
          },
          collapse: true,
          numbers: true
        })
      );
      return;
    }
    const view = textView(base ?? head ?? '', language, file.path, true);
    view.addClass('codesave-Side');
    view.addClass(base === null ? 'codesave-mod-head' : 'codesave-mod-base');
    panel.addWidget(view);
  }

  private loading(): Widget {
    const { trans } = this.options;
    return ReactWidget.create(
      <div className="codesave-Loading" role="status">
        <span className="codesave-Spinner" aria-hidden="true" />
        <p>{trans.__('Comparing…')}</p>
        <button className="codesave-Button" onClick={() => this.model.cancel()}>
          {trans.__('Cancel')}
        </button>
      </div>
    );
  }

  private header: ComparerHeader;
  private tree: FileTree;
  private content = new Panel();
  private notebook: NotebookDiff | null = null;
  private facts = false;
}

function noteWidget(text: string): Widget {
  return new Widget({ node: note(text) });
}
