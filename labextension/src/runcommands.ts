import type { JupyterFrontEnd } from '@jupyterlab/application';
import { InputDialog, Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { pathReference } from './client';
import { CommandIDs, text } from './commands';
import { inOrder } from './model/runs';
import { runTitle } from './model/titles';
import type { ICodeSave, IRun } from './tokens';
import { showFailure } from './widgets/failure';

/** The commands on a run: the one given as `run`, else the focused or the clicked one. */
export function addRunCommands(
  app: JupyterFrontEnd,
  { client, runs }: ICodeSave,
  trans: TranslationBundle
): void {
  const { commands } = app;
  const clicked = (args: ReadonlyPartialJSONObject): string | undefined =>
    text(args, 'run') ??
    document.activeElement?.closest<HTMLElement>('[data-run]')?.dataset.run ??
    app.contextMenuHitTest(node => node.dataset.run !== undefined)?.dataset.run;
  const fetched = async (args: ReadonlyPartialJSONObject): Promise<IRun | null> => {
    const id = clicked(args);
    return id ? (runs.get(id) ?? client.run(id)) : null;
  };
  const compare = (base: string, head: string) =>
    commands.execute(CommandIDs.compare, { base, head });

  const tell = (error: Error) => showFailure(trans.__('This could not be done'), error);
  /** A command that fails tells so: of what a menu asked for nobody else would. */
  const add = (id: string, options: CommandRegistry.ICommandOptions) =>
    commands.addCommand(id, {
      ...options,
      execute: async args => {
        try {
          return await options.execute(args);
        } catch (error) {
          await tell(error as Error);
        }
      }
    });

  add(CommandIDs.compareSelected, {
    label: trans.__('Compare the two selected runs'),
    isEnabled: () => runs.pair !== null,
    execute: () => runs.pair && compare(runs.pair.base, runs.pair.head)
  });

  add(CommandIDs.selectForCompare, {
    label: trans.__('Select for compare'),
    execute: args => {
      const id = clicked(args);
      if (id) {
        runs.select(id);
        chosen = id;
      }
    }
  });
  let chosen: string | null = null;
  add(CommandIDs.compareWithSelected, {
    label: trans.__('Compare with selected'),
    isEnabled: () => chosen !== null || runs.selection.length > 0,
    execute: async args => {
      const head = await fetched(args);
      const other = chosen ?? runs.selection[0];
      if (head && other && other !== head.id) {
        const base = runs.get(other) ?? (await client.run(other));
        const pair = inOrder(base, head);
        return compare(pair.base, pair.head);
      }
    }
  });

  add(CommandIDs.compareWithDisk, {
    label: trans.__('Compare with notebook on disk'),
    execute: async args => {
      const run = await fetched(args);
      const path = run?.notebook ?? run?.program;
      // An absolute path is one that this server cannot read: it lies outside its folder.
      if (run && path && !path.startsWith('/')) {
        return compare(run.id, pathReference(path));
      }
      Notification.info(
        path
          ? trans.__('%1 lies outside the folder that this server shows.', path)
          : trans.__('This run has no notebook on disk.'),
        { autoClose: 6000 }
      );
    }
  });

  add(CommandIDs.comparePrevious, {
    label: trans.__('Compare with previous run'),
    execute: async args => {
      const run = await fetched(args);
      if (!run) {
        return;
      }
      const siblings = run.notebook
        ? (await client.runs({ notebook: run.notebook, limit: 200 })).runs
        : (runs.groups.find(group => group.runs.some(other => other.id === run.id))?.runs ??
          []);
      const previous = siblings.find(other => other.started < run.started);
      if (previous) {
        return compare(previous.id, run.id);
      }
      Notification.info(trans.__('This is the first run of its notebook.'), {
        autoClose: 4000
      });
    }
  });

  /** What a person says of a run; null where they cancel. */
  const asked = async (run: IRun, title: string, text: string, okLabel: string) => {
    const { button, value } = await InputDialog.getText({
      title,
      label: runTitle(run),
      text,
      okLabel
    });
    return button.accept ? value : null;
  };

  add(CommandIDs.rename, {
    label: trans.__('Rename run…'),
    execute: async args => {
      const run = await fetched(args);
      const name =
        run && (await asked(run, trans.__('Rename run'), run.name ?? '', trans.__('Rename')));
      if (run && name !== null) {
        await runs.rename(run.id, name.trim());
      }
    }
  });

  add(CommandIDs.tag, {
    label: trans.__('Tag run…'),
    execute: async args => {
      const run = await fetched(args);
      const title = trans.__('Tags, separated by commas');
      const said = run && (await asked(run, title, run.tags.join(', '), trans.__('Set tags')));
      if (run && said !== null) {
        const tags = said.split(',').map(tag => tag.trim());
        await runs.tag(run.id, [...new Set(tags.filter(Boolean))]);
      }
    }
  });

  add(CommandIDs.restore, {
    label: trans.__('Restore run'),
    isVisible: () => runs.listed === 'deleted',
    execute: async args => {
      const run = await fetched(args);
      if (run) {
        await runs.restore(run.id);
        Notification.success(trans.__('Restored %1', runTitle(run)), { autoClose: 4000 });
      }
    }
  });

  add(CommandIDs.remove, {
    label: trans.__('Delete run'),
    isVisible: () => runs.listed !== 'deleted',
    isEnabled: () => runs.listed !== 'deleted',
    execute: async args => {
      const run = await fetched(args);
      if (!run) {
        return;
      }
      await runs.delete(run.id);
      Notification.info(trans.__('Deleted %1', runTitle(run)), {
        autoClose: 15_000,
        actions: [
          { label: trans.__('Undo'), callback: () => void runs.restore(run.id).catch(tell) }
        ]
      });
    }
  });
}
