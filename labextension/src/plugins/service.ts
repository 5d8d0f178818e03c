import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { INotebookTracker } from '@jupyterlab/notebook';
import { CodeSaveClient } from '../client';
import { RecordingModel } from '../model/recording';
import { RunsModel } from '../model/runs';
import { ICodeSave, RUN_EVENT, STATUS_EVENT, type IRunEvent } from '../tokens';

/** The client and the models, refreshed by the server's events. */
export const service: JupyterFrontEndPlugin<ICodeSave> = {
  id: 'jupyter-codesave:service',
  description: 'Provides the recorded runs and the recording state.',
  autoStart: true,
  provides: ICodeSave,
  optional: [INotebookTracker],
  activate: (app: JupyterFrontEnd, tracker: INotebookTracker | null): ICodeSave => {
    const client = new CodeSaveClient(app.serviceManager.serverSettings);
    const runs = new RunsModel(client);
    const recording = new RecordingModel(client);
    app.serviceManager.events.stream.connect((_, event) => {
      if (event.schema_id === RUN_EVENT) {
        void runs.apply(event as unknown as IRunEvent);
      } else if (event.schema_id === STATUS_EVENT) {
        void recording.refresh();
      }
    });
    tracker?.currentChanged.connect((_, panel) => {
      void runs.setNotebook(panel?.context.path ?? null);
    });
    void app.started.then(() => recording.refresh());
    return { client, runs, recording };
  }
};
