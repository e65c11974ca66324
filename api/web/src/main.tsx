import { render } from 'preact';
import { App } from './app';
import { restoreSession } from './session/session';
import './style/index.css';
import { startDiscovery } from './wallet/wallet';

const root = document.getElementById('app');
if (root === null) throw new Error('the page has no #app');
startDiscovery();
restoreSession();
render(<App />, root);
