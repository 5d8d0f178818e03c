import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ICommandPalette, Notification, showDialog } from '@jupyterlab/apputils';
import type { ICodeCellModel } from '@jupyterlab/cells';
import type { ICodeCell } from '@jupyterlab/nbformat';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import type { Event } from '@jupyterlab/services';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { pathReference } from '../client';
import { CommandIDs } from '../commands';
import { lastRun } from '../model/lastrun';
import { findMissed, type IMissed } from '../model/missed';
import { ICodeSave, RUN_EVENT } from '../tokens';
import { CellMarks } from '../widgets/cellmarks';
import { MissedPreview } from '../widgets/missed';

const SETTINGS = 'jupyter-codesave:plugin';

/** What the last run says of the open notebook's cells: which were edited, what they missed. */
export const cells: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-codesave:cells',
  description: 'Marks cells edited since they ran and offers to put missed outputs back.',
  autoStart: true,
  requires: [ICodeSave, INotebookTracker],
  optional: [ISettingRegistry, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    { client }: ICodeSave,
    tracker: INotebookTracker,
    registry: ISettingRegistry | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_codesave');
    const all = new Set<CellMarks>();
    let shown = true;
    void registry?.load(SETTINGS).then(settings => {
      const take = () => {
        shown = settings.get('marks').composite !== false;
        all.forEach(marks => (marks.shown = shown));
      };
      settings.changed.connect(take);
      take();
    });

    /** Compares the notebook as it lies on the disk with its newest run; gives that. */
    const look = async (panel: NotebookPanel, marks: CellMarks, saved: number) => {
      const models = [...(panel.content.model?.cells ?? [])];
      const sources = new Map(
        models.map(({ id, sharedModel }) => [id, sharedModel.getSource()])
      );
      const last = await lastRun(client, panel.context.path, sources);
      if (!last || panel.isDisposed) {
        return null;
      }
      marks.learn(last.ran);
      const missed = last.differing.filter(({ ended }) => ended > saved);
      if (!marks.used) {
        offer(panel, missed.length);
      }
      return last.run;
    };

    const follow = async (panel: NotebookPanel) => {
      await Promise.all([panel.context.ready, app.restored]);
      if (panel.isDisposed) {
        return;
      }
      const marks = new CellMarks(panel.content, trans);
      marks.shown = shown;
      all.add(marks);
      const saved = Date.parse(panel.context.contentsModel?.last_modified ?? '');
      // Its kernel may still work on what no page saw: each time it pauses is looked at.
      let pause: ReturnType<typeof setTimeout> | undefined;
      const { stream } = app.serviceManager.events;
      const onEvent = (_: unknown, event: Event.Emission) => {
        if (event.schema_id !== RUN_EVENT || event.run !== run?.id) {
          return;
        }
        clearTimeout(pause);
        if (marks.used) {
          stream.disconnect(onEvent);
        } else {
          pause = setTimeout(() => void look(panel, marks, saved).catch(() => undefined), 2000);
        }
      };
      panel.disposed.connect(() => {
        all.delete(marks);
        clearTimeout(pause);
        stream.disconnect(onEvent);
      });
      const run = await look(panel, marks, saved);
      if (run?.state === 'running' && !panel.isDisposed) {
        stream.connect(onEvent);
      }
    };
    tracker.widgetAdded.connect((_, panel) => {
      // Without an answer there are no marks of earlier sessions; nothing else is lost.
      void follow(panel).catch(() => undefined);
    });

    const offers = new WeakMap<NotebookPanel, { id: string; count: number }>();
    const offer = (panel: NotebookPanel, count: number) => {
      const before = offers.get(panel);
      if (count <= (before?.count ?? 0)) {
        return;
      }
      if (before) {
        Notification.dismiss(before.id);
      }
      const id = Notification.info(
        trans._n(
          '%1 cell of %2 gave outputs after the notebook was last saved.',
          '%1 cells of %2 gave outputs after the notebook was last saved.',
          count,
          panel.context.path
        ),
        {
          autoClose: false,
          actions: [
            {
              label: trans.__('Put missed outputs back'),
              callback: () => void restore(panel)
            }
          ]
        }
      );
      offers.set(panel, { id, count });
      panel.disposed.connect(() => Notification.dismiss(id));
    };

    const restore = async (panel: NotebookPanel) => {
      const { path, model } = panel.context;
      const [run] = (await client.runs({ notebook: path, limit: 1 })).runs;
      const open = (model.toJSON() as { cells: ICodeCell[] }).cells;
      const found = run
        ? findMissed((await client.notebook(run.id)).cells, open)
        : { outputs: [], deleted: [] };
      if (found.outputs.length + found.deleted.length === 0) {
        Notification.info(trans.__('%1 shows all that its last run recorded.', path), {
          autoClose: 4000
        });
        return;
      }
      const compare = Dialog.createButton({
        label: trans.__('Compare'),
        accept: false,
        actions: ['compare']
      });
      const answer = await showDialog({
        title: trans.__('Put missed outputs back into %1', path),
        body: new MissedPreview(found, trans),
        buttons: [
          Dialog.cancelButton(),
          compare,
          Dialog.okButton({ label: trans.__('Put back') })
        ],
        defaultButton: 2
      });
      if (answer.button.actions.includes('compare')) {
        void app.commands.execute(CommandIDs.compare, {
          base: run.id,
          head: pathReference(path)
        });
      } else if (answer.button.accept && answer.value && !panel.isDisposed) {
        putBack(panel, found, answer.value);
      }
    };

    app.commands.addCommand(CommandIDs.restoreOutputs, {
      label: trans.__('Put missed outputs back…'),
      caption: trans.__('Put recorded outputs that this notebook lacks into its cells'),
      isEnabled: () => tracker.currentWidget !== null,
      execute: () => tracker.currentWidget && restore(tracker.currentWidget)
    });
    palette?.addItem({
      command: CommandIDs.restoreOutputs,
      category: trans.__('Code saving')
    });
  }
};

/** Takes the chosen ones into the notebook; what is stored is not trusted, and so are they. */
function putBack(
  panel: NotebookPanel,
  found: { outputs: IMissed[]; deleted: IMissed[] },
  chosen: ReadonlySet<IMissed>
): void {
  const { sharedModel } = panel.context.model;
  const place = (id: string | null | undefined) =>
    sharedModel.cells.findIndex(cell => cell.id === id);
  for (const one of found.outputs.filter(missed => chosen.has(missed))) {
    const model = [...panel.context.model.cells].find(({ id }) => id === one.id);
    if (model?.type === 'code') {
      const code = model as ICodeCellModel;
      code.trusted = false;
      code.outputs.fromJSON(one.cell.outputs);
      code.executionCount = one.cell.execution_count;
    }
  }
  for (const one of found.deleted.filter(missed => chosen.has(missed))) {
    const { source, outputs, execution_count } = one.cell;
    sharedModel.insertCell(place(one.after) + 1, {
      cell_type: 'code',
      id: one.id,
      source,
      outputs,
      execution_count,
      metadata: { trusted: false }
    });
  }
}
