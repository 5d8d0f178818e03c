import type { ICell, INotebookContent } from '@jupyterlab/nbformat';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { Message } from '@lumino/messaging';
import { Panel, Widget } from '@lumino/widgets';
import * as React from 'react';
import type { SessionModel } from '../model/session';
import { runTitle } from '../model/titles';
import type { IOutlined, IRunPage, IStoredFile } from '../tokens';
import { saveAs } from './download';
import { Drawn } from './drawn';
import { empty } from './empty';
import { executionsOf } from './executions';
import { Failure, showFailure } from './failure';
import { Gallery } from './gallery';
import { codeHistoryIcon } from './icons';
import { note } from './note';
import { showBlockedOnClick } from './rendering';
import { RunDetails } from './rundetails';
import { SessionCells } from './sessioncells';
import type { Languages } from './textdiff';
import { Timeline } from './timeline';
import { ViewerHeader, type ViewerPage } from './viewerheader';

export interface ISessionViewerOptions {
  model: SessionModel;
  rendermime: IRenderMimeRegistry;
  commands: CommandRegistry;
  trans: TranslationBundle;
  openCopy(notebook: INotebookContent, page: IRunPage): Promise<void>;
  openFile(model: SessionModel, file: IStoredFile): void;
  goToNotebook(path: string, cellId: string): void;
  copyCell(cell: ICell): void;
  languages: Languages;
}

/** One run: its session notebook to be read, a timeline of its executions, files and facts. */
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
        openCopy: () =>
          this.attempt(async () => options.openCopy(await model.notebook(), model.page!)),
        download: () => this.attempt(() => this.download())
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
                goTo: index => this.goTo(index),
                goToNotebook: ({ cell_id: id }) =>
                  options.goToNotebook(model.page!.notebook!, id!),
                copy: index =>
                  this.attempt(async () => options.copyCell(await model.cell(index))),
                compare: execution => this.attempt(() => this.compareExecutions(execution))
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
        {() => <Gallery model={model} goTo={index => this.goTo(index)} trans={trans} />}
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

  /** The session notebook; null until it has a cell. */
  cells: SessionCells | null = null;

  /** Scrolls the session notebook to the cell at `index`. */
  goTo(index: number): void {
    this.turnTo('session');
    this.cells?.goTo(index);
  }

  /** Shows what changed each time the cell of `execution` ran again. */
  private async compareExecutions({ cell_id: id }: IOutlined): Promise<void> {
    const { languages, model, rendermime, trans } = this.options;
    const places = model.executions.flatMap((other, i) => (other.cell_id === id ? [i] : []));
    const [language, ...cells] = await Promise.all([
      languages.load(model.outline?.language ?? 'text/x-python'),
      ...places.map(place => model.cell(place))
    ]);
    if (this.isDisposed) {
      return;
    }
    empty(this.executions);
    this.executions.addWidget(executionsOf(cells, language, rendermime, trans));
    this.turnTo('executions');
  }

  private async download(): Promise<void> {
    const text = JSON.stringify(await this.model.notebook(), null, 1);
    saveAs(new Blob([text], { type: 'application/x-ipynb+json' }), `${this.model.run}.ipynb`);
  }

  /** Says what went wrong with what a person asked for. */
  private attempt(todo: () => Promise<void>): void {
    todo().catch((error: Error) =>
      showFailure(this.options.trans.__('This could not be done'), error)
    );
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
    const { model } = this.options;
    if (this.isDisposed) {
      return;
    }
    if (model.page) {
      this.title.label = runTitle(model.page).split(' · ').slice(0, 2).join(' · ');
      this.title.caption = runTitle(model.page);
    }
    const { state, error } = model;
    if (state === 'ready') {
      this.showCells();
    } else if (error) {
      this.cells = null;
      empty(this.session);
      const again = () => void model.load();
      this.session.addWidget(
        ReactWidget.create(<Failure error={error} again={again} trans={this.options.trans} />)
      );
    }
  }

  /** Ready is what has been drawn. */
  private sayState(): void {
    this.node.dataset.state = this.model.state;
  }

  private showCells(): void {
    const { languages, model, rendermime, trans } = this.options;
    if (model.executions.length === 0) {
      this.cells = null;
      empty(this.session);
      const node = note(
        trans.__('No cell was executed in this run. What it saved is listed under Details.')
      );
      this.session.addWidget(new Widget({ node }));
      return;
    }
    if (!this.cells) {
      empty(this.session);
      this.cells = new SessionCells(model, languages, rendermime, trans);
      this.session.addWidget(this.cells);
    }
    this.cells.take();
  }

  private header: ViewerHeader;
  private timeline: Widget;
  private details: Widget;
  private body = new Panel();
  private images: Widget;
  private executions = new Panel();
  private session = new Panel();
  private page: ViewerPage = 'session';
}
