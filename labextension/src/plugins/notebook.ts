import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { pathReference } from '../client';
import { CommandIDs } from '../commands';
import { ICodeSave, type IRun } from '../tokens';
import { diffIcon } from '../widgets/icons';

const SKIP = 'codesave-skip';

/** What the notebook itself offers: its last run beside it, and cells that are not recorded. */
export const notebook: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-codesave:notebook',
  description: 'Compares the open notebook with its last run and marks cells as not recorded.',
  autoStart: true,
  requires: [ICodeSave, INotebookTracker],
  optional: [ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    { client }: ICodeSave,
    tracker: INotebookTracker,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_codesave');

    /** Compares the open notebook, as it is now, with what `base` finds for its last run. */
    const compare = async (base: (last: IRun) => string | null) => {
      const panel = tracker.currentWidget;
      if (!panel) {
        return;
      }
      const { path } = panel.context;
      const [last] = (await client.runs({ notebook: path, limit: 1 })).runs;
      const found = last ? base(last) : null;
      if (found === null) {
        const said = last
          ? trans.__('The last run of %1 has no version yet: save the notebook.', path)
          : trans.__('%1 has no recorded run yet: run a cell first.', path);
        Notification.info(said, { autoClose: 4000 });
        return;
      }
      if (panel.context.model.dirty) {
        await panel.context.save();
      }
      return app.commands.execute(CommandIDs.compare, {
        base: found,
        head: pathReference(path)
      });
    };
    const isEnabled = () => tracker.currentWidget !== null;

    app.commands.addCommand(CommandIDs.compareLastRun, {
      label: trans.__('Compare with last run'),
      caption: trans.__('Compare this notebook with its last recorded run'),
      icon: diffIcon,
      isEnabled,
      execute: () => compare(({ id }) => id)
    });

    app.commands.addCommand(CommandIDs.compareLastVersion, {
      label: trans.__('Compare with last version'),
      caption: trans.__('Compare this notebook with the last version of its code'),
      isEnabled,
      execute: () => compare(({ artifact }) => artifact)
    });

    app.commands.addCommand(CommandIDs.compareNotebook, {
      label: trans.__('Compare with…'),
      caption: trans.__('Compare this notebook with any run, version or notebook'),
      isEnabled,
      execute: () => {
        const path = tracker.currentWidget?.context.path;
        return app.commands.execute(
          CommandIDs.compare,
          path ? { head: pathReference(path) } : {}
        );
      }
    });

    app.commands.addCommand(CommandIDs.skipCell, {
      label: trans.__('Don’t record this cell'),
      isEnabled: () => tracker.activeCell?.model.type === 'code',
      isToggled: () => tags().includes(SKIP),
      execute: () => {
        const cell = tracker.activeCell?.model;
        const rest = tags().filter(tag => tag !== SKIP);
        const next = tags().includes(SKIP) ? rest : [...rest, SKIP];
        if (next.length) {
          cell?.setMetadata('tags', next);
        } else {
          cell?.deleteMetadata('tags');
        }
      }
    });
    const tags = (): string[] => {
      const found = tracker.activeCell?.model.getMetadata('tags');
      return Array.isArray(found) ? found.filter(tag => typeof tag === 'string') : [];
    };
    for (const command of [
      CommandIDs.compareLastRun,
      CommandIDs.compareLastVersion,
      CommandIDs.compareNotebook,
      CommandIDs.skipCell
    ]) {
      palette?.addItem({ command, category: trans.__('Code saving') });
    }
  }
};
