import { Card } from '../components/Card';
import { SignIn } from './SignIn';
import { ThemeChoice } from './ThemeChoice';
import { WsCookies } from './WsCookies';

/** Three sides of cookies: one that scripts cannot read, one that they can, and how that goes along over WebSocket. */
export function Cookies() {
    return (
        <Card
            title="Cookies"
            lead="Set by functions over HTTP. Over WebSocket they are sent only once that is switched on."
            calls={[
                ['set_auth', 'HTTP'],
                ['get_auth', 'HTTP'],
                ['set_theme', 'HTTP'],
                ['get_cookie_default', 'HTTP'],
                ['get_theme', 'WebSocket'],
                ['use_cookies', 'WebSocket'],
            ]}
            testId="cookies"
            className="wide"
        >
            <div className="parts">
                <div>
                    <SignIn />
                    <ThemeChoice />
                </div>
                <WsCookies />
            </div>
        </Card>
    );
}
