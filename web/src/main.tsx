import './style/base.css';
import './style/pair.css';
import './style/shell.css';
import './style/talk.css';
import './style/turns.css';
import './style/inspect.css';
import './style/health.css';
import './style/logs.css';
import './style/settings.css';
import './style/sound.css';
import { render } from 'preact';
import { App } from './app';
import { arrive } from './link/session';
import { connect } from './link/socket';
import './parts/tab';

render(<App />, document.getElementById('app')!);
arrive();
void connect();
