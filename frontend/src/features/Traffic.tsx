import { Fragment } from 'react';
import { Card, ViaBadge } from '../components/Card';
import { traffic } from '../lib/traffic';

/** Every call of this page and every push to it, a row each: it counts, and does not scroll away. */
export function Traffic() {
    const rows = traffic.use();
    return (
        <Card
            title="Traffic"
            lead="All that this page has called and heard; times and ends are those of the last call."
            calls={[]}
            testId="traffic"
            className="full"
        >
            <table>
                <thead>
                    <tr>
                        <th scope="col">Function or topic</th>
                        <th scope="col">By</th>
                        <th scope="col">Times</th>
                        <th scope="col">Took</th>
                        <th scope="col">Ended</th>
                    </tr>
                </thead>
                <tbody>
                    {rows.map(({ name, via, count, ms, outcome }) => (
                        <tr key={`${via} ${name}`}>
                            <th scope="row">
                                <code>
                                    {name.split(/(?<=_)/).map((part, at) => (
                                        <Fragment key={at}>
                                            {part}
                                            <wbr />
                                        </Fragment>
                                    ))}
                                </code>
                            </th>
                            <td>
                                <ViaBadge via={via} />
                            </td>
                            <td>
                                <span key={count} className="beat">
                                    {count}
                                </span>
                            </td>
                            <td>{ms === undefined ? '—' : `${ms.toFixed(ms < 10 ? 1 : 0)}\u202fms`}</td>
                            <td className={outcome === 'ok' ? '' : 'bad'}>{outcome}</td>
                        </tr>
                    ))}
                </tbody>
            </table>
        </Card>
    );
}
