import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { cells } from './plugins/cells';
import { comparer } from './plugins/comparer';
import { history } from './plugins/history';
import { notebook } from './plugins/notebook';
import { recording } from './plugins/recording';
import { saves } from './plugins/saves';
import { service } from './plugins/service';
import { settings } from './plugins/settings';
import { viewer } from './plugins/viewer';
import { welcome } from './plugins/welcome';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  service,
  settings,
  history,
  viewer,
  comparer,
  recording,
  notebook,
  cells,
  saves,
  welcome
];

export default plugins;
