// What must not compile: every line behind such a comment is an error, or the comment is one.
import countWords from 'api/count_words';
import delete_ from 'api/delete';
import describe from 'api/describe';
import giveBlob from 'api/give_blob';
import giveByColor from 'api/give_by_color';
import giveColor, { Color } from 'api/give_color';
import giveMaybeMoment from 'api/give_maybe_moment';
import giveMoment from 'api/give_moment';
import giveMovie from 'api/give_movie';
import givePet from 'api/give_pet';
import givePlace from 'api/give_place';
import giveTruth from 'api/give_truth';
import takeChoice from 'api/take_choice';
import takeDay from 'api/take_day';
import takeEvent, { type EventInput } from 'api/take_event';
import takeItem from 'api/take_item';
import takeMoment from 'api/take_moment';
import takeNames from 'api/take_names';
import takeNumber from 'api/take_number';
import takePair from 'api/take_pair';
import takePet from 'api/take_pet';
import takePoint from 'api/take_point';
import takeTupleOfTwo from 'api/take_tuple_of_two';
import takeWho from 'api/take_who';

// @ts-expect-error there is no such function
import missing from 'api/missing';
// @ts-expect-error it does not use this type
import { type Movie } from 'api/give_color';

export async function misuse(event: EventInput): Promise<unknown> {
    // @ts-expect-error a promise is no boolean
    const truth: boolean = giveTruth();
    // @ts-expect-error one is needed
    countWords();
    // @ts-expect-error one too many
    countWords('a', 1, 2, 3);
    // @ts-expect-error not null: it has a default, which is another thing
    countWords('a', null);
    // @ts-expect-error
    takeNumber('1');
    // @ts-expect-error a string is no Date
    takeMoment('2026-01-02T03:04:05Z');
    // @ts-expect-error a date without a time is a string
    takeDay(new Date());
    // @ts-expect-error an array is no Set
    takeNames(['a']);
    // @ts-expect-error not among them
    takeChoice('c');
    // @ts-expect-error
    takeTupleOfTwo(['a']);
    // @ts-expect-error
    takePair([new Uint8Array(1)]);
    // @ts-expect-error no such tag
    takePet({ type: 'cow' });
    // @ts-expect-error the tag is missing
    takePet({ lives: 7 });
    // @ts-expect-error pydantic goes by the tag
    takeWho({ until: new Date() });
    // @ts-expect-error the name on the wire is itemCount
    takeItem({ unitPrice: '1.20', item_count: 1 });
    // @ts-expect-error x is needed
    takePoint({ y: 1 });
    // @ts-expect-error unknown
    takePoint({ x: 1, z: 1 });
    // @ts-expect-error null is not the same as nothing
    takePoint({ x: 1, y: null });
    // @ts-expect-error
    takeEvent({ ...event, data: 'AAA=' });
    // @ts-expect-error the other class of this name
    delete_({ x: 1 });
    // @ts-expect-error
    describe({ x: 1 }, '2026-01-02', true, 1.2);
    // @ts-expect-error
    const color: Color = 'green';
    // @ts-expect-error
    Color.GREEN;
    // @ts-expect-error it is only read
    Color.RED = 'blue';
    // @ts-expect-error
    (await giveColor()) === 'green';
    // @ts-expect-error it may be null
    (await giveMaybeMoment()).getTime();
    // @ts-expect-error
    (await giveMoment()).toFixed();
    // @ts-expect-error it may be missing
    (await giveMovie()).year.toFixed();
    // @ts-expect-error which one is not known
    (await givePet()).name;
    // @ts-expect-error there are three
    (await givePlace())[3];
    // @ts-expect-error
    (await giveBlob()).charAt(0);
    // @ts-expect-error a key may be missing
    (await giveByColor()).red.length;
    return [truth, color, missing] as [unknown, unknown, Movie];
}
