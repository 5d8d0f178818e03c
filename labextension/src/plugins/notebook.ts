import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import type { Cell, ICellModel } from '@jupyterlab/cells';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { pathReference } from '../client';
import { CommandIDs } from '../commands';
import { isSkipped, saysSkip, setSkipped } from '../model/skip';
import { ICodeSave, type IRun } from '../tokens';
import { diffIcon } from '../widgets/icons';

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

    /** The cell whose own element `node` is. */
    const cellAt = (node: HTMLElement): Cell | undefined => {
      let found: Cell | undefined;
      tracker.forEach(({ content }) => {
        found ??= content.widgets.find(cell => cell.node === node);
      });
      return found;
    };
    /** The cell that a person means: under the menu called from there, else the active one. */
    const meant = (args: ReadonlyPartialJSONObject): ICellModel | undefined => {
      if (args.clicked !== true) {
        return tracker.activeCell?.model;
      }
      const node = app.contextMenuHitTest(node => cellAt(node) !== undefined);
      return node && cellAt(node)?.model;
    };
    app.commands.addCommand(CommandIDs.skipCell, {
      label: trans.__('Don’t record this cell'),
      isEnabled: args => {
        const cell = meant(args);
        return cell?.type === 'code' && !saysSkip(cell.sharedModel.getSource());
      },
      isToggled: args => {
        const cell = meant(args);
        return cell !== undefined && isSkipped(cell);
      },
      execute: args => {
        const cell = meant(args);
        if (cell) {
          setSkipped(cell, !isSkipped(cell));
        }
      }
    });
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
