import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ICommandPalette, showDialog } from '@jupyterlab/apputils';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import { CommandIDs } from '../commands';
import { bytes } from '../model/titles';
import { ICodeSave } from '../tokens';
import { RecordingStatus, recordingWords } from '../widgets/status';

/** Says in the status bar, in Notebook 7 beside the menu, whether the open notebook is recorded, and switches it. */
export const recording: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-codesave:recording',
  description: 'Shows whether the open notebook is being recorded.',
  autoStart: true,
  requires: [ICodeSave],
  optional: [IStatusBar, INotebookTracker, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    { recording: model }: ICodeSave,
    statusBar: IStatusBar | null,
    tracker: INotebookTracker | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_codesave');
    const notebook = () => {
      const context = tracker?.currentWidget?.context;
      return context
        ? { path: context.path, said: context.model.getMetadata('codesave') }
        : null;
    };

    const explain = async () => {
      await model.refresh();
      const { state, reason, sourcesOnly } = model.of(notebook());
      // without an answer there is nothing to switch, and what was known may be no more
      const status = model.error ? null : model.status;
      const off = status?.capture === 'off';
      const by = reason ?? status?.decided_by;
      const decided =
        by === 'default'
          ? trans.__('Nothing switches it off.')
          : trans.__('Decided by: %1.', by);
      const lines = [
        status && state !== 'failed' ? decided : reason,
        status?.behind,
        sourcesOnly && trans.__('Only the sources of cells are kept, not what they put out.'),
        status && trans.__('Kept in %1, %2 so far.', status.dir, bytes(status.size))
      ];
      const body = new Widget();
      for (const line of lines.filter(Boolean)) {
        body.node.append(Object.assign(document.createElement('p'), { textContent: line }));
      }
      const buttons = [Dialog.cancelButton({ label: trans.__('Close') })];
      // What is off by something else than the switch, the switch cannot stop or begin.
      if (status && (off || state !== 'off')) {
        const label = off ? trans.__('Record again') : trans.__('Stop recording');
        buttons.push(Dialog.okButton({ label }));
      }
      const answer = await showDialog({
        title: recordingWords(state, trans),
        body,
        defaultButton: 0,
        buttons
      });
      if (answer.button.accept) {
        await model.setCapture(off ? null : 'off');
      }
    };

    const item = new RecordingStatus(model, notebook, () => void explain(), trans);
    tracker?.currentChanged.connect(() => item.follow());
    const listen = ({ context }: NotebookPanel) =>
      context.model.metadataChanged.connect(() => item.follow());
    tracker?.forEach(listen);
    tracker?.widgetAdded.connect((_, panel) => void listen(panel));
    if (statusBar) {
      statusBar.registerStatusItem('jupyter-codesave:recording', {
        item,
        align: 'left',
        rank: 20
      });
    } else {
      // Notebook 7 has no status bar: beside the kernel's state, right of the menu.
      item.id = 'codesave-status';
      app.shell.add(item, 'menu', { rank: 10_005 });
    }

    app.commands.addCommand(CommandIDs.toggleRecording, {
      label: () =>
        model.status?.capture === 'off' ? trans.__('Record again') : trans.__('Stop recording'),
      execute: () => model.setCapture(model.status?.capture === 'off' ? null : 'off')
    });
    palette?.addItem({
      command: CommandIDs.toggleRecording,
      category: trans.__('Code saving')
    });
    model.changed.connect(() => app.commands.notifyCommandChanged(CommandIDs.toggleRecording));
  }
};
