import { AwayNote } from './features/AwayNote';
import { Chat } from './features/Chat';
import { Clock } from './features/Clock';
import { Connection } from './features/Connection';
import { Cookies } from './features/Cookies';
import { Failure } from './features/Failure';
import { Header } from './features/Header';
import { SharedColor } from './features/SharedColor';
import { Traffic } from './features/Traffic';
import { Uptime } from './features/Uptime';
import { UserForm } from './features/UserForm';

/** One card for each thing to show, each in a file of its own. */
export function App() {
    return (
        <>
            <a className="skip" href="#demo">
                Skip to the demo
            </a>
            <Header />
            <main id="demo" tabIndex={-1}>
                <div className="intro">
                    <h1>Python functions, called from this page</h1>
                    <p>
                        Each card imports functions of the folder <code>api/</code> and calls them as if they were here.
                        Open a second window: colour and chat are shared.
                    </p>
                </div>
                <div className="grid">
                    <div className="stack">
                        <Uptime />
                        <Clock />
                    </div>
                    <SharedColor />
                    <Connection />
                    <Chat />
                    <UserForm />
                    <Cookies />
                    <Failure />
                    <Traffic />
                </div>
            </main>
            <footer className="foot">
                <p>
                    The example functions stand in <code>api/</code>, this page in <code>frontend/</code>.
                </p>
            </footer>
            <AwayNote />
        </>
    );
}
