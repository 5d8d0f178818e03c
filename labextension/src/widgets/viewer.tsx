import type { IEditorServices } from '@jupyterlab/codeeditor';
import type { ICell, INotebookContent } from '@jupyterlab/nbformat';
import { NotebookModel, StaticNotebook } from '@jupyterlab/notebook';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { Message } from '@lumino/messaging';
import { Panel, Widget } from '@lumino/widgets';
import * as React from 'react';
import type { IExecution, SessionModel } from '../model/session';
import { runTitle } from '../model/titles';
import type { IRunPage, IStoredFile } from '../tokens';
import { executionsOf } from './executions';
import { Drawn } from './drawn';
import { Gallery } from './gallery';
import { codeHistoryIcon } from './icons';
import { showBlockedOnClick } from './rendering';
import { RunDetails } from './rundetails';
import type { Languages } from './textdiff';
import { Timeline } from './timeline';
import { ViewerHeader, type ViewerPage } from './viewerheader';

export interface ISessionViewerOptions {
  model: SessionModel;
  rendermime: IRenderMimeRegistry;
  editorServices: IEditorServices;
  commands: CommandRegistry;
  trans: TranslationBundle;
  openCopy(notebook: INotebookContent, page: IRunPage): void;
  openFile(model: SessionModel, file: IStoredFile): void;
  goToNotebook(path: string, cellId: string): void;
  copyCell(cell: ICell): void;
  languages: Languages;
}

/** One run: its session notebook read-only, a timeline of its executions, its files and facts. */
export class SessionViewer extends Panel {
  constructor(private options: ISessionViewerOptions) {
    super();
    const { model, trans } = options;
    this.addClass('codesave-SessionViewer');
    this.node.tabIndex = -1;
    showBlockedOnClick(this.node);
    this.title.icon = codeHistoryIcon;
    this.title.closable = true;
    this.title.label = trans.__('Run %1', model.run);
    this.header = new ViewerHeader(
      model,
      options.commands,
      {
        page: () => this.page,
        show: page => this.turnTo(page),
        openCopy: () => options.openCopy(model.notebook!, model.page!)
      },
      trans
    );
    this.timeline = ReactWidget.create(
      <UseSignal signal={model.changed}>
        {() => (
          <>
            <Timeline
              executions={model.executions}
              notebook={!!model.page?.notebook}
              actions={{
                goTo: index => void this.goTo(index),
                goToNotebook: ({ cellId }) =>
                  options.goToNotebook(model.page!.notebook!, cellId!),
                copy: index => options.copyCell(model.notebook!.cells[index]),
                compare: execution => void this.compareExecutions(execution)
              }}
              trans={trans}
            />
            <Drawn then={() => this.sayState()} />
          </>
        )}
      </UseSignal>
    );
    this.timeline.addClass('codesave-Timeline');
    this.details = ReactWidget.create(
      <UseSignal signal={model.changed}>
        {() =>
          model.page && (
            <RunDetails
              page={model.page}
              commands={options.commands}
              openFile={file => options.openFile(model, file)}
              trans={trans}
            />
          )
        }
      </UseSignal>
    );
    this.details.addClass('codesave-RunDetails');
    this.images = ReactWidget.create(
      <UseSignal signal={model.changed}>
        {() => (
          <Gallery
            cells={model.notebook?.cells ?? []}
            goTo={index => void this.goTo(index)}
            trans={trans}
          />
        )}
      </UseSignal>
    );
    this.images.addClass('codesave-Gallery');
    this.executions.addClass('codesave-SessionViewer-executions');
    this.body.addClass('codesave-SessionViewer-body');
    this.session.addClass('codesave-SessionViewer-notebook');
    this.body.addWidget(this.timeline);
    this.body.addWidget(this.session);
    this.body.addWidget(this.executions);
    this.body.addWidget(this.images);
    this.body.addWidget(this.details);
    this.addWidget(this.header);
    this.addWidget(this.body);
    model.changed.connect(() => this.onLoaded());
    this.turnTo('session');
    this.node.dataset.state = model.state;
  }

  get model(): SessionModel {
    return this.options.model;
  }

  /** Scrolls the session notebook to the cell at `index`. */
  async goTo(index: number): Promise<void> {
    this.turnTo('session');
    if (this.notebook) {
      await this.notebook.scrollToItem(index, 'start');
      const cell = this.notebook.widgets[index];
      cell?.node.classList.add('codesave-mod-found');
      setTimeout(() => cell?.node.classList.remove('codesave-mod-found'), 1500);
    }
  }

  /** Shows what changed each time the cell of `execution` ran again. */
  private async compareExecutions({ cellId }: IExecution): Promise<void> {
    const { languages, model, rendermime, trans } = this.options;
    const language = await languages.load('text/x-python');
    const cells = model.executions
      .filter(other => other.cellId === cellId)
      .map(({ index }) => model.notebook!.cells[index]);
    while (this.executions.widgets.length) {
      this.executions.widgets[0].dispose();
    }
    this.executions.addWidget(executionsOf(cells, language, rendermime, trans));
    this.turnTo('executions');
  }

  protected onCloseRequest(msg: Message): void {
    this.dispose();
  }

  protected onActivateRequest(msg: Message): void {
    if (!this.node.contains(document.activeElement)) {
      this.node.focus();
    }
  }

  private turnTo(page: ViewerPage): void {
    this.page = page;
    this.timeline.setHidden(page !== 'session' && page !== 'executions');
    this.session.setHidden(page !== 'session');
    this.executions.setHidden(page !== 'executions');
    this.images.setHidden(page !== 'images');
    this.details.setHidden(page !== 'details');
    this.header.update();
  }

  private onLoaded(): void {
    const { model, trans } = this.options;
    if (this.isDisposed) {
      return;
    }
    if (model.page) {
      this.title.label = runTitle(model.page).split(' · ').slice(0, 2).join(' · ');
      this.title.caption = runTitle(model.page);
    }
    const { state, error } = model;
    if (state === 'ready' && model.notebook) {
      this.showNotebook(model.notebook);
    } else if (error) {
      this.clear();
      this.session.addWidget(
        ReactWidget.create(
          <div className="codesave-Failure" role="alert">
            <h2>{error.message}</h2>
            <button className="codesave-Button" onClick={() => void model.load()}>
              {trans.__('Try again')}
            </button>
          </div>
        )
      );
    }
  }

  /** Ready is what has been drawn. */
  private sayState(): void {
    this.node.dataset.state = this.model.state;
  }

  /** Replaces the notebook; the reader stays where they were. */
  private showNotebook(content: INotebookContent): void {
    const top = this.notebook?.outerNode.scrollTop ?? 0;
    this.clear();
    const { rendermime, editorServices } = this.options;
    const notebook = new StaticNotebook({
      rendermime,
      contentFactory: new StaticNotebook.ContentFactory({
        editorFactory: options => {
          const editor = editorServices.factoryService.newInlineEditor(options);
          const content = options.host.querySelector('.cm-content');
          content?.setAttribute('aria-label', this.options.trans.__('Source'));
          content?.setAttribute('aria-readonly', 'true');
          return editor;
        }
      }),
      mimeTypeService: editorServices.mimeTypeService,
      notebookConfig: { ...StaticNotebook.defaultNotebookConfig, windowingMode: 'full' }
    });
    notebook.addClass('jp-Notebook');
    const model = new NotebookModel();
    model.fromJSON(readOnly(content));
    notebook.model = model;
    notebook.disposed.connect(() => model.dispose());
    this.notebook = notebook;
    this.session.addWidget(notebook);
    notebook.outerNode.scrollTop = top;
  }

  private clear(): void {
    this.notebook = null;
    while (this.session.widgets.length) {
      this.session.widgets[0].dispose();
    }
  }

  private header: ViewerHeader;
  private timeline: Widget;
  private details: Widget;
  private body = new Panel();
  private images: Widget;
  private executions = new Panel();
  private session = new Panel();
  private notebook: StaticNotebook | null = null;
  private page: ViewerPage = 'session';
}

/** Nothing stored is trusted and nothing in it can be typed into. */
function readOnly(content: INotebookContent): INotebookContent {
  return {
    ...content,
    cells: content.cells.map(cell => {
      const metadata = { ...cell.metadata, editable: false, deletable: false };
      delete metadata.trusted;
      return { ...cell, metadata };
    })
  };
}
