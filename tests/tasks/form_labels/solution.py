"""Labels that name their field, a language, an alternative text."""

from tests.tasks.steps import files, replace, turn, view

PAGE = "signup.html"

REPLIES = [
    turn("I look at what there is.", files()),
    turn("I read the page and what is known of it.", view(PAGE), view("README.md")),
    turn(
        "Two labels name no field and two fields have none; the README says what the logo shows.",
        replace(PAGE, "<html>", '<html lang="en">'),
        replace(PAGE, '<img src="logo.svg">', '<img src="logo.svg" alt="Tern">'),
        replace(PAGE, "<label>Name</label>", '<label for="name">Name</label>'),
        replace(PAGE, '<input name="name"', '<input id="name" name="name"'),
        replace(PAGE, "<label>E-mail</label>", '<label for="email">E-mail</label>'),
        replace(PAGE, '<input type="email"', '<input id="email" type="email"'),
        replace(
            PAGE,
            '<input type="checkbox" name="news" value="yes"> Send me news',
            '<input type="checkbox" id="news" name="news" value="yes">\n'
            '      <label for="news">Send me news</label>',
        ),
        replace(PAGE, "      Country\n", '      <label for="country">Country</label>\n'),
        replace(PAGE, '<select name="country">', '<select id="country" name="country">'),
    ),
    turn("I read it again.", view(PAGE)),
    turn("Every field has a label of its own; what the form sends is as it was."),
]
