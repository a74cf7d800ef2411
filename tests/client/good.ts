// Every type, used as it is meant. It is only compiled.
import { onState, subscribe, unsubscribe, withOptions } from 'isomor';

import countWords from 'api/count_words';
import delete_, { type Point2, type PointInput, type Span } from 'api/delete';
import describe, { type PointInput as PointToDescribe } from 'api/describe';
import giveAnything from 'api/give_anything';
import giveBlob from 'api/give_blob';
import giveByColor from 'api/give_by_color';
import giveByNumber from 'api/give_by_number';
import giveChoice from 'api/give_choice';
import giveColor, { Color } from 'api/give_color';
import giveDay from 'api/give_day';
import giveDaysOff from 'api/give_days_off';
import giveDecimal from 'api/give_decimal';
import giveDeep from 'api/give_deep';
import giveEvent, { type Event } from 'api/give_event';
import giveFraction from 'api/give_fraction';
import giveItem, { type Item } from 'api/give_item';
import giveLevel, { Level } from 'api/give_level';
import giveMany from 'api/give_many';
import giveMaybeMoment from 'api/give_maybe_moment';
import giveMixed from 'api/give_mixed';
import giveMoment from 'api/give_moment';
import giveMovie, { type Movie } from 'api/give_movie';
import giveNaive from 'api/give_naive';
import giveNames from 'api/give_names';
import giveNothing from 'api/give_nothing';
import giveNumber from 'api/give_number';
import givePageOfEvents, { type PageEvent } from 'api/give_page_of_events';
import givePagePoints, { type PagePoint } from 'api/give_page_of_points';
import givePair from 'api/give_pair';
import givePet, { type Cat, type Dog } from 'api/give_pet';
import givePlace from 'api/give_place';
import givePoint, { type Point } from 'api/give_point';
import giveScores from 'api/give_scores';
import giveSealed from 'api/give_sealed';
import giveSparse from 'api/give_sparse';
import giveTree, { type Tree } from 'api/give_tree';
import giveTruth from 'api/give_truth';
import giveTupleOfTwo from 'api/give_tuple_of_two';
import giveUser, { type User, type Who } from 'api/give_user';
import giveUuid from 'api/give_uuid';
import keep from 'api/keep';
import takeEvent, { type EventInput } from 'api/take_event';
import takePair from 'api/take_pair';
import takePet from 'api/take_pet';
import takePlace from 'api/take_place';
import takeTree from 'api/take_tree';
import takeUser, { type UserInput } from 'api/take_user';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** A function gives just this type. */
type Gives<F extends (...args: any) => Promise<any>, T> = Same<Awaited<ReturnType<F>>, T>;
const yes = <_T extends true>() => {};

yes<Gives<typeof giveNothing, null>>();
yes<Gives<typeof giveTruth, boolean>>();
yes<Gives<typeof giveNumber, number>>();
yes<Gives<typeof giveFraction, number>>();
yes<Gives<typeof giveAnything, any>>();
yes<Gives<typeof giveMoment, Date>>();
yes<Gives<typeof giveNaive, Date>>();
yes<Gives<typeof giveDay, string>>();
yes<Gives<typeof giveDecimal, string>>();
yes<Gives<typeof giveUuid, string>>();
yes<Gives<typeof giveBlob, Uint8Array>>();
yes<Gives<typeof giveTupleOfTwo, [string, Date]>>();
yes<Gives<typeof giveMany, Uint8Array[]>>();
yes<Gives<typeof giveNames, Set<string>>>();
yes<Gives<typeof giveDaysOff, Set<Date>>>();
yes<Gives<typeof giveScores, { [key: string]: number }>>();
yes<Gives<typeof giveByNumber, { [key: number]: Date }>>();
yes<Gives<typeof giveByColor, { [key in Color]?: Uint8Array }>>();
yes<Gives<typeof giveDeep, { [key: string]: { [key: string]: Set<Date> | null }[] }>>();
yes<Gives<typeof giveColor, 'red' | 'blue'>>();
yes<Gives<typeof giveLevel, 1 | 2>>();
yes<Gives<typeof giveChoice, 'a' | 'b' | 3>>();
yes<Gives<typeof giveMaybeMoment, Date | null>>();
yes<Gives<typeof giveMixed, Uint8Array | number | Date[] | { [key: string]: Uint8Array } | null>>();
yes<Gives<typeof givePoint, Point>>();
yes<Gives<typeof giveEvent, Event>>();
yes<Gives<typeof givePair, [first: string, second: Uint8Array]>>();
yes<Gives<typeof givePlace, [lat: number, lon: number, seen: Date | null]>>();
yes<Gives<typeof givePageOfEvents, PageEvent>>();
yes<Gives<typeof givePagePoints, PagePoint>>();
yes<Gives<typeof givePet, Cat | Dog>>();
yes<Gives<typeof delete_, Span>>();
yes<Gives<typeof countWords, any>>();
yes<Same<Parameters<typeof countWords>, [text: any, least?: number | undefined, most?: number | null | undefined]>>();
yes<Same<Parameters<typeof describe>, [point: PointInput, on: string, new_?: boolean | undefined, ...prices: string[]]>>();
yes<Same<PointInput, PointToDescribe>>();
yes<Same<PageEvent['items'], Event[]>>();
yes<Same<Event['next'], Event | null>>();
yes<Same<Event['colors'], Set<Color>>>();
yes<Same<User['who'], Who | null>>();
yes<Same<User['shout'], string>>();
yes<Same<Tree['by_name'], { [key: string]: Tree }>>();
yes<Same<Required<Movie>, { title: string; year: number; shown: Date }>>();

export async function use(): Promise<unknown[]> {
    const pet = await givePet();
    const named: string = pet.type === 'dog' ? pet.name : `${pet.lives} ${pet.born?.getTime()}`;
    const who = (await giveUser()).who;
    const rights = who?.kind === 'admin' ? who.keys.size : who?.until.getTime();
    const event: Event = await giveEvent();
    const again: EventInput = event; // what came may be sent
    const bare: EventInput = {
        name: 'a',
        at: new Date(),
        price: '1.20',
        on: '2026-01-02',
        wake: '03:04:05',
        lasts: 'PT90S',
        id: '12345678-1234-5678-1234-567812345678',
        next: null,
    };
    const point: Point2 = { z: 1 };
    const colors: Color[] = [Color.RED, 'blue', ...Object.values(Color)];
    const level: Level = Level.HIGH;
    const item: Item = await giveItem();
    const movie: Movie = { title: 'Up' };
    const sealed = await giveSealed();
    const sparse = await giveSparse();
    const user: UserInput = { name: 'Ada', who: { kind: 'admin' }, place: [1.5], friends: [{ name: 'Bob' }] };
    const abort = new AbortController();
    const key = subscribe((color) => color, { topic: 'color', join: giveColor });
    unsubscribe(key);
    onState((state) => state.type === 'outdated' && state.name);
    return [
        await takeEvent(again),
        await takeEvent(bare),
        await takePair(['a']),
        await takePair(['a', new Uint8Array(2)]),
        await takePlace([1]),
        await takePet({ type: 'cat' }),
        await takeTree({ made: new Date(), children: [{ made: new Date() }] }),
        await takeUser(user),
        await countWords('a b'),
        await countWords('a b', 2, null),
        await describe({ x: 1 }, '2026-01-02', true, '1.20', '2'),
        await delete_(point, { x: 1 }, [1]),
        await keep(pet, event, await givePagePoints(), level),
        await withOptions(takeUser, { signal: abort.signal, timeout: 2000 })(user),
        (await giveMovie()).year?.toFixed(),
        item.unitPrice.length + item.itemCount,
        sparse.a?.toFixed(),
        sealed.data.length + sealed['more'],
        [named, rights, colors, movie],
    ];
}
