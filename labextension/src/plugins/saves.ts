import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { ICodeSave } from '../tokens';

/**
 * Tells the server when a notebook was saved by hand, for then its code gets a version. By hand
 * means one of the save commands: a document's own signals do not tell it from an autosave.
 */
export const saves: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-codesave:saves',
  description: 'Keeps a version of the code at each save by hand.',
  autoStart: true,
  requires: [ICodeSave, INotebookTracker],
  activate: (app: JupyterFrontEnd, { client }: ICodeSave, tracker: INotebookTracker) => {
    const saved: Record<string, (panel: NotebookPanel) => boolean> = {
      'docmanager:save': panel => panel === app.shell.currentWidget,
      'docmanager:save-as': panel => panel === app.shell.currentWidget,
      'docmanager:save-all': () => true
    };
    app.commands.commandExecuted.connect((_, { id, result }) => {
      const panels = saved[id] ? tracker.filter(saved[id]) : [];
      // Nobody waits for a version: one that could not be made is made at the run's end.
      void result
        .then(() => Promise.all(panels.map(({ context }) => client.saveVersion(context.path))))
        .catch(() => undefined);
    });
  }
};
