import {
  ILabShell,
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Clipboard, Notification, WidgetTracker } from '@jupyterlab/apputils';
import { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { ISearchProviderRegistry } from '@jupyterlab/documentsearch';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { CommandIDs, text } from '../commands';
import { SessionModel } from '../model/session';
import { sourceOf } from '../model/source';
import { baseName } from '../model/titles';
import { labLink, linked, openInMain } from '../shell';
import { ICodeSave, RUN_EVENT, type IRunEvent } from '../tokens';
import { saveAs } from '../widgets/download';
import { storedRendermime } from '../widgets/rendering';
import { SessionSearch } from '../widgets/sessionsearch';
import { Languages } from '../widgets/textdiff';
import { SessionViewer } from '../widgets/viewer';

/** By which JupyterLab's own copy and paste know cells. */
const CELLS = 'application/vnd.jupyter.cells';

/** The session viewer: one run's notebook, read-only. */
export const viewer: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-codesave:viewer',
  description: 'Opens the session notebook of a run, read-only.',
  autoStart: true,
  requires: [ICodeSave, IRenderMimeRegistry, IEditorLanguageRegistry],
  optional: [
    INotebookTracker,
    ILabShell,
    ILayoutRestorer,
    ITranslator,
    ISearchProviderRegistry
  ],
  activate: (
    app: JupyterFrontEnd,
    { client }: ICodeSave,
    rendermime: IRenderMimeRegistry,
    languageRegistry: IEditorLanguageRegistry,
    notebooks: INotebookTracker | null,
    labShell: ILabShell | null,
    restorer: ILayoutRestorer | null,
    translator: ITranslator | null,
    search: ISearchProviderRegistry | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_codesave');
    const tracker = new WidgetTracker<SessionViewer>({ namespace: 'codesave-session' });
    const languages = new Languages(languageRegistry);
    search?.add('jupyter-codesave:session', {
      isApplicable: widget => widget instanceof SessionViewer,
      createNew: widget => new SessionSearch(widget as SessionViewer)
    });

    app.commands.addCommand(CommandIDs.openSession, {
      label: trans.__('Open session'),
      execute: async args => {
        const run =
          text(args, 'run') ??
          app.contextMenuHitTest(node => node.dataset.run !== undefined)?.dataset.run;
        if (!run) {
          return;
        }
        const open = tracker.find(widget => widget.model.run === run);
        if (open) {
          openInMain(app, labShell, open);
          return open;
        }
        const widget = new SessionViewer({
          model: new SessionModel(client, run),
          rendermime: storedRendermime(rendermime, trans),
          commands: app.commands,
          languages,
          trans,
          openCopy: (notebook, page) => copy(page.notebook, notebook),
          copyCell: cell => {
            Clipboard.getInstance().setData(CELLS, [cell]);
            Clipboard.copyToSystem(sourceOf(cell));
          },
          goToNotebook: (path, cellId) => void goToNotebook(path, cellId),
          openFile: (model, file) =>
            void model.file(file).then(content => saveAs(content, baseName(file.path)))
        });
        widget.id = `codesave-session-${run}`;
        if (!openInMain(app, labShell, widget)) {
          widget.dispose();
          window.open(labLink({ run }), '_blank');
          return;
        }
        await tracker.add(widget);
        await widget.model.load();
        return widget;
      }
    });

    const goToNotebook = async (path: string, cellId: string) => {
      await app.commands.execute('docmanager:open', { path });
      const panel = notebooks?.find(other => other.context.path === path);
      await panel?.context.ready;
      const index = panel?.content.widgets.findIndex(({ model }) => model.id === cellId) ?? -1;
      if (panel && index >= 0) {
        panel.content.activeCellIndex = index;
        await panel.content.scrollToItem(index, 'center');
      } else {
        Notification.info(trans.__('The notebook no longer has this cell.'), {
          autoClose: 4000
        });
      }
    };

    /** A copy that can be run, beside the notebook that it came from. */
    const copy = async (path: string | null, notebook: object) => {
      const folder = path?.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
      const { contents } = app.serviceManager;
      const made = await contents.newUntitled({ path: folder, type: 'notebook' });
      await contents.save(made.path, { type: 'notebook', format: 'json', content: notebook });
      await app.commands.execute('docmanager:open', { path: made.path });
    };

    app.serviceManager.events.stream.connect((_, event) => {
      if (event.schema_id === RUN_EVENT) {
        const { run, action } = event as unknown as IRunEvent;
        const open = tracker.find(widget => widget.model.run === run);
        if (open && action !== 'deleted') {
          open.model.refresh();
        }
      }
    });

    void restorer?.restore(tracker, {
      command: CommandIDs.openSession,
      args: widget => ({ run: widget.model.run }),
      name: widget => widget.model.run
    });
    void app.restored.then(() => {
      const run = linked('run');
      if (run) {
        void app.commands.execute(CommandIDs.openSession, { run });
      }
    });
  }
};
